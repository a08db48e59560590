// The table of the largest, the commands, and paper.

function tableOfLargest() {
  const AT_FIRST = 50;
  const table = byId("largest-table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const heads = [...table.tHead.rows[0].cells];
  const words = byId("words");
  const more = byId("more");
  let all = false;

  function show() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row) => wanted.every((word) => texts.get(row).includes(word)));
    const visible = new Set(all ? found : found.slice(0, AT_FIRST));
    for (const row of rows) row.hidden = !visible.has(row);
    byId("matches").textContent = wanted.length ? `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
    more.hidden = visible.size === found.length;
    more.textContent = `Show all ${found.length.toLocaleString("en")}`;
  }

  function sortBy(head, at) {
    const first = head.classList.contains("n") ? "descending" : "ascending";
    const way = head.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const orderOf = (row) => row.cells[at].dataset.order ?? row.cells[at].querySelector("time")?.dateTime ?? row.cells[at].textContent.trim();
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    rows.sort((one, other) => sign * compare(orderOf(one), orderOf(other)));
    body.append(...rows);
    show();
  }

  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(head, at));
    head.replaceChildren(button);
  });
  words.addEventListener("input", show);
  words.form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    all = true;
    show();
  });
  show();
}

// --- commands ------------------------------------------------------------------------------------------------------------------

function copyButtons() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    const code = button.previousElementSibling;
    button.addEventListener("click", async () => {
      let done = true;
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        // Without the right to the clipboard the command is marked: Ctrl-C copies it.
        window.getSelection().selectAllChildren(code);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Press Ctrl-C";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
}

/** What is folded on the screen is not on paper. */
function unfoldForPaper() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
}
