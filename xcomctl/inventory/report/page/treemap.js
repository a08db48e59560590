// Where the bytes are: two levels of the tree at a time, drawn by Vega.

const ROOM = { n: "all", c: figures.tree };
const bytesOf = (node) => (node.s ?? 0) + (node.d ?? 0);
let path = [ROOM];

function describe(node, whole) {
  const lines = [
    node.n,
    `${formatSize(bytesOf(node))}, ${percent(bytesOf(node), whole)} of what is shown`,
    `${formatSize(node.s)} in S3, ${count(node.o, "object")}`,
    `${formatSize(node.d)} in the database, ${count(node.r, "row")}`,
  ];
  if (node.f > 0) lines.push(`${formatSize(node.f)} can go (${percent(node.f, bytesOf(node))})`);
  return lines;
}

/** What is below the chosen node, two levels of it, as a table that Vega makes a tree of. */
function shown() {
  const inside = path[path.length - 1].c ?? [];
  const whole = inside.reduce((sum, node) => sum + bytesOf(node), 0);
  const made = [{ id: "all", parent: null, depth: 0 }];
  const add = (node, id, parent, depth, route) => {
    const leaf = depth === 2 || node.c === undefined || path.length + depth > 3;
    const target = node.c === undefined ? route : [...route, node];
    made.push({
      id, parent, depth, leaf, name: node.n, size: formatSize(bytesOf(node)), bytes: leaf ? bytesOf(node) : 0,
      freed: bytesOf(node) === 0 ? 0 : node.f / bytesOf(node), opens: target.length > path.length, target,
      lines: describe(node, whole), text: describe(node, whole).join(", "),
    });
    if (!leaf) node.c.forEach((below, at) => add(below, `${id}/${at}`, id, depth + 1, target));
  };
  inside.forEach((node, at) => add(node, `${at}`, "all", 1, path));
  return made;
}

const corners = { x: { field: "x0" }, y: { field: "y0" }, x2: { field: "x1" }, y2: { field: "y1" } };
const spoken = { description: { field: "text" }, tooltip: { field: "text" } };
const room = (field, least) => `datum.x1 - datum.x0 > ${least} && datum.y1 - datum.y0 > ${field}`;

const TREEMAP = {
  $schema: "https://vega.github.io/schema/vega/v6.json",
  autosize: "none",
  signals: [{ name: "width", value: 600 }, { name: "height", value: 480 }],
  data: [
    {
      name: "tree",
      values: [{ id: "all", parent: null, depth: 0 }],
      transform: [
        { type: "stratify", key: "id", parentKey: "parent" },
        {
          type: "treemap", field: "bytes", sort: { field: "value", order: "descending" }, round: true, method: "squarify", ratio: 1.3,
          paddingInner: 2, paddingOuter: 2, paddingTop: 22, size: [{ signal: "width" }, { signal: "height" }],
        },
      ],
    },
    { name: "groups", source: "tree", transform: [{ type: "filter", expr: "datum.depth === 1 && !datum.leaf" }] },
    { name: "leaves", source: "tree", transform: [{ type: "filter", expr: "datum.leaf === true" }] },
  ],
  marks: [
    {
      type: "rect", from: { data: "groups" }, ariaRole: "button",
      encode: { update: { ...corners, ...spoken, ariaRole: { value: "button" }, fill: { signal: "datum.y1 - datum.y0 > 30 ? 'var(--group)' : 'var(--tile)'" }, cornerRadius: { value: 4 } } },
    },
    {
      type: "rect", from: { data: "leaves" },
      encode: {
        update: { ...corners, ...spoken, ariaRole: { signal: "datum.opens ? 'button' : 'graphics-symbol'" }, fill: { value: "var(--tile)" }, cornerRadius: { value: 3 } },
      },
    },
    {
      type: "rect", from: { data: "leaves" }, interactive: false, aria: false,
      encode: {
        update: {
          x: { field: "x0" }, x2: { field: "x1" }, y2: { field: "y1" }, y: { signal: "datum.y1 - (datum.y1 - datum.y0) * datum.freed" },
          fill: { value: "var(--freed)" }, cornerRadius: { value: 3 },
        },
      },
    },
    {
      type: "text", from: { data: "groups" }, interactive: false, aria: false,
      encode: {
        update: {
          x: { signal: "datum.x0 + 6" }, y: { signal: "datum.y0 + 15" }, limit: { signal: "max(0, datum.x1 - datum.x0 - 12)" },
          text: { signal: `${room(20, 40)} ? datum.name + '  ' + datum.size : ''` }, fill: { value: "var(--ink)" },
          font: { value: "system-ui, sans-serif" }, fontSize: { value: 12 }, fontWeight: { value: 600 },
        },
      },
    },
    {
      type: "text", from: { data: "leaves" }, interactive: false, aria: false,
      encode: {
        update: {
          x: { signal: "datum.x0 + 6" }, y: { signal: "datum.y0 + 15" }, limit: { signal: "max(0, datum.x1 - datum.x0 - 10)" },
          text: { signal: `${room(20, 44)} ? datum.name : ''` }, fill: { value: "var(--ink)" },
          font: { value: "system-ui, sans-serif" }, fontSize: { value: 12 },
        },
      },
    },
    {
      type: "text", from: { data: "leaves" }, interactive: false, aria: false,
      encode: {
        update: {
          x: { signal: "datum.x0 + 6" }, y: { signal: "datum.y0 + 31" }, limit: { signal: "max(0, datum.x1 - datum.x0 - 10)" },
          text: { signal: `${room(38, 64)} ? datum.size : ''` }, fill: { value: "var(--ink)" },
          font: { value: "system-ui, sans-serif" }, fontSize: { value: 11 },
        },
      },
    },
  ],
};

async function drawTreemap() {
  const holder = byId("treemap");
  const { view } = await vegaEmbed(holder, TREEMAP, { ...EMBEDDED, mode: "vega" });
  // Where the pointer is not, the keyboard tells the same.
  const datumOf = (element) => element?.__data__?.datum ?? element?.__data__?.[0]?.datum;

  async function update() {
    const width = holder.clientWidth || 600;
    view.width(width).height(width < NARROW ? 560 : 480);
    view.data("tree", shown());
    await view.runAsync();
    for (const element of holder.querySelectorAll('[aria-roledescription][aria-label], [role="button"]')) {
      // Tiles inside of a group are a short way for the pointer: by keyboard one group is chosen after the other.
      if (datumOf(element)?.opens && datumOf(element).depth === 1) element.setAttribute("tabindex", "0");
      else element.removeAttribute("tabindex");
    }
    const crumbs = byId("crumbs");
    crumbs.hidden = path.length === 1;
    crumbs.replaceChildren(
      ...path.map((node, at) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = at === 0 ? "All DAGs" : node.n;
        if (at === path.length - 1) button.setAttribute("aria-current", "location");
        button.addEventListener("click", () => open(path.slice(0, at + 1)));
        return button;
      }),
    );
  }

  async function open(chosen) {
    hideTip();
    path = chosen;
    await update();
    (byId("crumbs").hidden ? holder : byId("crumbs").lastElementChild).focus({ preventScroll: true });
  }

  holder.setAttribute("tabindex", "-1");
  view.addEventListener("click", (_event, item) => {
    if (item?.datum?.opens) open(item.datum.target);
  });
  holder.addEventListener("keydown", (event) => {
    const datum = datumOf(event.target);
    if ((event.key === "Enter" || event.key === " ") && datum?.opens) {
      event.preventDefault();
      open(datum.target);
    }
  });
  holder.addEventListener("focusin", (event) => {
    const datum = datumOf(event.target);
    const place = event.target.getBoundingClientRect();
    if (datum?.lines !== undefined && event.target.matches(":focus-visible")) showTip(datum.lines, place.left, place.top);
  });
  holder.addEventListener("focusout", hideTip);
  holder.addEventListener("pointerleave", hideTip);
  await update();
  new ResizeObserver(() => {
    if (holder.clientWidth !== view.width()) update();
  }).observe(holder);
}
