"use strict";
// Draws each chart from the JSON beside it. Without this script the tables show the same.
(() => {
  const nothing = { load: () => Promise.reject(new Error("a chart loads nothing")), sanitize: () => Promise.reject(new Error("no links")) };
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, tooltip: false, defaultStyle: false, hover: false,
    // Evaluates expressions without eval, which the page's policy forbids.
    ast: true,
    loader: nothing,
  };
  const draw = async (figure) => {
    const place = figure.querySelector(".drawing");
    const data = figure.querySelector('script[type="application/json"]');
    if (!place || !data) return;
    place.hidden = false;
    try {
      await vegaEmbed(place, JSON.parse(data.textContent), options);
      figure.querySelectorAll("details").forEach((table) => { table.open = false; });
      figure.classList.add("drawn");
    } catch (error) {
      place.textContent = `This chart cannot be drawn: ${error.message}`;
    }
  };
  const figures = [...document.querySelectorAll("figure.chart")];
  document.documentElement.dataset.charts = "drawing";
  Promise.all(figures.map(draw)).then(() => { document.documentElement.dataset.charts = "done"; });
  // On paper nobody can open a table.
  const tables = () => document.querySelectorAll("figure.chart details");
  window.addEventListener("beforeprint", () => tables().forEach((table) => { table.open = true; }));
  window.addEventListener("afterprint", () => tables().forEach((table) => { table.open = false; }));
})();
