copyButtons();
tableOfLargest();
unfoldForPaper();
// A chart without anything in it has no place in the page.
await Promise.all([
  ...(byId("treemap") ? [drawTreemap()] : []),
  ...(byId("ages-chart") ? [drawAges()] : []),
  ...(byId("new") ? drawGrowth() : []),
]);
document.documentElement.dataset.drawn = "true";
