// The charts and tables of a report. Names come from the database: they are only ever put where text is text.

const { vegaEmbed } = window;
const figures = JSON.parse(document.getElementById("figures").textContent);
const byId = (id) => document.getElementById(id);
const NARROW = 560;
document.documentElement.classList.add("scripts");

// --- numbers -------------------------------------------------------------------------------------------------------------

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

function formatSize(size) {
  let power = 0;
  let value = size;
  while (Math.abs(value) >= 1024 && power < UNITS.length - 1) {
    value /= 1024;
    power += 1;
  }
  return power === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[power]}`;
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const percent = (part, whole) => (whole === 0 ? "0 %" : `${Math.round((100 * part) / whole)} %`);

/** Round numbers of bytes up to `most`, about `wanted` of them. */
function ticks(most, wanted) {
  if (most === 0) return [0];
  const unit = 1024 ** Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log(most) / Math.log(1024))));
  const rough = most / unit / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, unit * power * ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10));
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step);
}

const SIZE_LABEL = UNITS.map((unit, power) => [unit, 1024 ** power])
  .reverse()
  .reduceRight((rest, [unit, size]) => `datum.value >= ${size} ? format(datum.value / ${size}, '.3~r') + ' ${unit}' : (${rest})`, "'0'");

const sizeAxis = (most, wanted) => ({ title: null, values: ticks(most, wanted), labelExpr: SIZE_LABEL });

// --- what is shown beside the pointer ---------------------------------------------------------------------------------------

const tip = byId("tip");

function showTip(lines, x, y) {
  tip.replaceChildren(
    ...lines.map((line, at) => {
      const element = document.createElement(at === 0 ? "b" : "div");
      element.textContent = line;
      return element;
    }),
  );
  tip.hidden = false;
  tip.style.left = `${Math.max(8, Math.min(x + 14, window.innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > window.innerHeight ? Math.max(8, y - tip.offsetHeight - 12) : y + 18}px`;
}

function hideTip() {
  tip.hidden = true;
}

/** Vega's own would put a style sheet into the page, which its policy forbids. */
function tooltip(_handler, event, item, value) {
  if (item?.datum?.lines === undefined || value === null) hideTip();
  else showTip(item.datum.lines, event.clientX, event.clientY);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});
