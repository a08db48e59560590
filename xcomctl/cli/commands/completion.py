"""`xcomctl completion`: the script that makes a shell complete."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from xcomctl.cli.options import with_options

_ASK = 'COLUMNS=1000 _XCOMCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS="$line"'
"""What the command is asked with: typer's protocol for fish, a line per word with its meaning behind a tab (not wrapped)."""

_BASH = """\
# bash completion for xcomctl: eval "$(xcomctl completion bash)"
_xcomctl() {
    local line="${COMP_LINE:0:$COMP_POINT}" word found IFS=$'\\n'
    COMPREPLY=()
    for found in $(@ASK@ xcomctl 2>/dev/null); do
        COMPREPLY+=("${found%%$'\\t'*}")
    done
    # bash takes a word with colons for several, and replaces only the last of them.
    word="${line##*[[:space:]]}"
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
    if [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _xcomctl xcomctl
"""

_ZSH = """\
#compdef xcomctl
# zsh completion for xcomctl: eval "$(xcomctl completion zsh)", behind compinit
_xcomctl() {
    local line="${(j: :)words[1,CURRENT]}" found
    local -a whole partial
    for found in "${(@f)$(@ASK@ xcomctl 2>/dev/null)}"; do
        found="${found%%$'\\t'*}"
        if [[ $found == */ ]]; then
            partial+=("$found")
        elif [[ -n $found ]]; then
            whole+=("$found")
        fi
    done
    if (( $#whole + $#partial == 0 )); then
        _files
        return
    fi
    compadd -S '' -- $partial
    compadd -- $whole
}
if [[ $funcstack[1] == _xcomctl ]]; then
    _xcomctl "$@"
else
    compdef _xcomctl xcomctl
fi
"""

_FISH = """\
# fish completion for xcomctl: xcomctl completion fish | source
function __xcomctl_complete
    set -l line (commandline -cp)
    set -l found (env @ASK@ xcomctl 2>/dev/null)
    if test (count $found) -gt 0
        string join \\n -- $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command xcomctl --no-files --arguments "(__xcomctl_complete)"
"""


class Shell(str, Enum):
    """Shells that can be made to complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


_SCRIPTS = {Shell.bash: _BASH, Shell.zsh: _ZSH, Shell.fish: _FISH}


@with_options
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print what makes bash, zsh or fish complete verbs, options, and names from the database.

    DAG ids, run ids, tasks and keys are those of the configured database: asked for at most a second, remembered for a
    minute in the user's folder for caches.

    Examples:

        eval "$(xcomctl completion bash)"

        xcomctl completion fish | source
    """
    sys.stdout.write(_SCRIPTS[shell].replace("@ASK@", _ASK))
