// Growth and ages, as Vega-Lite draws them.

const LOOK = {
  background: null,
  font: "system-ui, sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: "var(--soft)", gridColor: "var(--line)", domainColor: "var(--line)", tickColor: "var(--line)",
    labelFontSize: 12, labelPadding: 6, titleColor: "var(--soft)",
  },
};

// The spec's expressions are interpreted: nothing is compiled, which the policy of the page forbids.
const EMBEDDED = { actions: false, renderer: "svg", ast: true, defaultStyle: false, tooltip, config: LOOK };

function draw(id, height, description, spec) {
  const sized = { width: "container", height, autosize: { type: "fit", contains: "padding" }, description, ...spec };
  return vegaEmbed(byId(id), sized, { ...EMBEDDED, mode: "vega-lite" });
}

function drawGrowth() {
  const DAY = 86_400_000;
  const width = (figures.step === "week" ? 7 : 1) * DAY;
  const end = Date.parse(figures.until) + DAY;
  const bars = [];
  const sums = [];
  const total = { s3: 0, rows: 0 };
  const dated = figures.growth.filter(([day]) => day !== null);
  for (const [day, s3, rows] of figures.growth) {
    total.s3 += s3;
    total.rows += rows;
    if (day === null) continue;
    const at = Date.parse(day);
    const lines = [`${figures.step === "week" ? "week of " : ""}${day}`];
    const together = `${formatSize(total.s3 + total.rows)} until then`;
    const split = [`${formatSize(s3)} in S3`, `${formatSize(rows)} in the database`];
    const both = { from: at, to: at + width, lines: [...lines, ...split, together], text: [...lines, ...split].join(", ") };
    bars.push({ ...both, kind: "in S3", low: 0, high: s3 }, { ...both, kind: "in the database", low: s3, high: s3 + rows });
    const sum = {
      from: at,
      lines: [...lines, together, `${formatSize(total.s3)} in S3`, `${formatSize(total.rows)} in the database`],
    };
    sums.push({ ...sum, kind: "in S3", low: 0, high: total.s3 }, { ...sum, kind: "in the database", low: total.s3, high: total.s3 + total.rows });
  }
  sums.forEach((one, at) => {
    one.to = sums[at + 2]?.from ?? Math.max(end, one.from + width);
    one.text = one.lines.join(", ");
  });
  const last = sums.slice(-2).map((one) => ({ ...one, from: one.to }));
  const color = {
    field: "kind", legend: null,
    scale: { domain: ["in S3", "in the database"], range: ["var(--state-live)", "var(--state-inline)"] },
  };
  // One day alone would be as wide as the page, and its hours mean nothing.
  const [, s3, rows] = figures.growth.find(([day]) => day === null) ?? [null, 0, 0];
  const first = bars[0]?.from ?? end;
  if (end - first < 14 * DAY) {
    const earlier = { from: end - 14 * DAY, to: first, text: "earlier", lines: ["earlier", `${formatSize(s3 + rows)} all together`] };
    bars.unshift({ ...earlier, kind: "in S3", low: 0, high: 0 });
    sums.unshift({ ...earlier, kind: "in S3", low: 0, high: s3 }, { ...earlier, kind: "in the database", low: s3, high: s3 + rows });
  }
  const x = { field: "from", type: "temporal", scale: { type: "utc" }, axis: { title: null, grid: false, labelOverlap: true, tickCount: { expr: "max(2, width / 80)" } } };
  const y = (values) => {
    const most = Math.max(1, ...values.map((one) => one.high));
    return { field: "high", type: "quantitative", scale: { domain: [0, most], nice: false }, axis: sizeAxis(most, 4) };
  };
  return [
    draw("new", 200, `New bytes a ${figures.step}, ${dated.length} of them. A table follows.`, {
      data: { values: bars },
      mark: { type: "rect", tooltip: { content: "data" }, cornerRadius: 1 },
      encoding: { x, x2: { field: "to" }, y: y(bars), y2: { field: "low" }, color, description: { field: "text" } },
    }),
    draw("sum", 200, `All bytes together, ${formatSize(total.s3 + total.rows)} at last. A table follows.`, {
      data: { values: [...sums, ...last] },
      encoding: { x, y: y(sums), y2: { field: "low" }, color },
      layer: [
        { mark: { type: "area", interpolate: "step-after", fillOpacity: 0.85, aria: false } },
        // An area is one mark: what the pointer finds are the days below it.
        { mark: { type: "rect", fillOpacity: 0, tooltip: { content: "data" } }, encoding: { x2: { field: "to" }, description: { field: "text" } } },
      ],
    }),
  ];
}

function drawAges() {
  const order = Object.keys(figures.states);
  const present = order.filter((state) => figures.ages.some(([, name]) => name === state));
  const ends = figures.bands.map(() => 0);
  const values = [...figures.ages]
    .sort((one, other) => order.indexOf(one[1]) - order.indexOf(other[1]))
    .map(([band, state, number, bytes]) => {
      const low = ends[band];
      ends[band] += bytes;
      const lines = [`${figures.bands[band]}, ${figures.states[state]}`, formatSize(bytes), count(number, state === "inline" ? "row" : "object")];
      return { band: figures.bands[band], state, low, high: ends[band], lines, text: lines.join(", ") };
    });
  const most = Math.max(1, ...ends);
  return draw("ages-chart", 240, "Bytes by age and state. A table follows.", {
    data: { values },
    mark: { type: "bar", tooltip: { content: "data" }, cornerRadius: 1, height: { band: 0.7 } },
    encoding: {
      y: { field: "band", type: "nominal", scale: { domain: figures.bands }, axis: { title: null, domain: false, ticks: false } },
      x: { field: "low", type: "quantitative", scale: { domain: [0, most], nice: false }, axis: sizeAxis(most, byId("ages-chart").clientWidth < NARROW ? 2 : 5) },
      x2: { field: "high" },
      color: { field: "state", legend: null, scale: { domain: present, range: present.map((state) => `var(--state-${state})`) } },
      description: { field: "text" },
    },
  });
}
