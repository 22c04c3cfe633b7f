"use strict";
// Keys, zoom, and what belongs together on the page of a task. Every page works without this.
document.documentElement.classList.add("scripted");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const follow = (rel) => { const link = document.querySelector(`a[rel="${rel}"]`); if (link) link.click(); };

// Each sheet: its size, and zoom that moves picture and shapes together.
const zooms = all(".stage").map((stage) => {
  const canvas = stage.querySelector(".canvas");
  const pan = stage.querySelector(".pan");
  const zoom = pan && Panzoom(canvas, { maxScale: 50, minScale: 0.5, cursor: "default" });
  if (pan) pan.addEventListener("wheel", (event) => { if (event.ctrlKey || event.metaKey) zoom.zoomWithWheel(event); }, { passive: false });
  const steps = { in: () => zoom.zoomIn(), out: () => zoom.zoomOut(), reset: () => zoom.reset() };
  all("[data-zoom]", stage).forEach((button) => button.addEventListener("click", steps[button.dataset.zoom]));
  const failed = stage.querySelector(".failed");
  const fails = (yes) => { stage.classList.toggle("blank", yes); if (failed) failed.hidden = !yes; };
  const svg = stage.querySelector("svg");
  const medium = canvas.querySelector("img:not(.layer), video");
  const measure = () => {
    const [width, height] = [medium.naturalWidth || medium.videoWidth, medium.naturalHeight || medium.videoHeight];
    if (!width) return;
    fails(false);
    if (stage.dataset.known === "0") svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  };
  if (medium) {
    medium.addEventListener(medium.tagName === "IMG" ? "load" : "loadedmetadata", measure);
    medium.addEventListener("error", () => fails(true));
    if (medium.complete && medium.naturalWidth === 0) fails(true); else measure();
  }
  return steps;
});
const zoomAll = (step) => { if (document.querySelector(".pan")) zooms.forEach((steps) => steps[step]()); };

// Frames: the shapes of one, and its picture.
const slider = document.querySelector(".frames input[type=range]");
const showFrame = () => {
  const known = [...new Set(all("g[data-frame]").map((group) => Number(group.dataset.frame)))];
  const frame = known.reduce((a, b) => (Math.abs(b - slider.value) < Math.abs(a - slider.value) ? b : a));
  all("g[data-frame]").forEach((group) => {
    const shown = Number(group.dataset.frame) === frame;
    group.classList.toggle("off", !shown);
    const stage = group.closest(".stage");
    const medium = stage.querySelector("img:not(.layer), video");
    if (!shown || !medium) return;
    stage.dataset.known = group.dataset.width ? "1" : "0";
    if (group.dataset.width) group.ownerSVGElement.setAttribute("viewBox", `0 0 ${group.dataset.width} ${group.dataset.height}`);
    if (medium.tagName === "VIDEO") { if (group.dataset.seconds) medium.currentTime = Number(group.dataset.seconds); }
    else if (group.dataset.source && medium.getAttribute("src") !== group.dataset.source) medium.src = group.dataset.source;
  });
  all(".item[data-frame]").forEach((item) => item.classList.toggle("off", Number(item.dataset.frame) !== frame));
  document.querySelector(".frames output").value = frame;
  const address = new URL(location.href);
  address.searchParams.set("frame", frame);
  history.replaceState(null, "", address);
};
if (slider) slider.addEventListener("input", showFrame);

// Labels and masks that are hidden and shown.
all("[data-toggle]").forEach((box) => box.addEventListener("change", () =>
  all(`[data-label="${box.dataset.toggle}"]`).forEach((each) => each.classList.toggle("hide", !box.checked))));
all("[data-show-layer]").forEach((box) => box.addEventListener("change", () =>
  all(`[data-layer="${box.dataset.showLayer}"]`).forEach((layer) => { layer.hidden = !box.checked; })));

all("[data-copy]").forEach((button) => button.addEventListener("click", () =>
  navigator.clipboard.writeText(button.dataset.copy).then(() => { button.textContent = "copied"; })));

// A shape, its line in the list and its piece of text light up together.
const numbersAt = (target) => {
  const found = target.closest && target.closest("[data-ordinal], [data-of]");
  return found ? (found.dataset.ordinal ?? found.dataset.of).split(" ") : [];
};
const light = (numbers) => {
  all(".hot").forEach((each) => each.classList.remove("hot"));
  numbers.forEach((number) => all(`[data-ordinal="${number}"], [data-of~="${number}"]`).forEach((each) => each.classList.add("hot")));
};
["mouseover", "focusin"].forEach((kind) => document.addEventListener(kind, (event) => {
  if (document.querySelector(".task")) light(numbersAt(event.target));
}));
document.addEventListener("click", (event) => {
  const [number] = numbersAt(event.target);
  const item = number && document.getElementById(`a${number}`);
  if (!item) return;
  if (!item.contains(event.target)) item.focus();
  const recording = document.querySelector("audio, video");
  if (recording && item.dataset.seconds) recording.currentTime = Number(item.dataset.seconds);
});
const stepItem = (step) => {
  const items = all(".item:not(.off):not(.hide)");
  const next = items[items.indexOf(document.activeElement.closest(".item")) + step] || items[step > 0 ? 0 : items.length - 1];
  if (next) next.focus();
};

const keys = {
  ArrowLeft: () => follow("prev"), ArrowRight: () => follow("next"),
  j: () => stepItem(1), k: () => stepItem(-1),
  "+": () => zoomAll("in"), "=": () => zoomAll("in"), "-": () => zoomAll("out"), 0: () => zoomAll("reset"),
  "/": () => { const field = document.querySelector(".filters input, .filters select, textarea"); if (field) field.focus(); },
  "?": () => document.getElementById("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = /^(input|select|textarea|video|audio)$/i.test(event.target.tagName) && event.target.type !== "checkbox";
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
