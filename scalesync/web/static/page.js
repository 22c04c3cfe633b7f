"use strict";
// Keys of every page; what is a page's own follows the elements that it has.
const follow = (rel) => { const link = document.querySelector(`a[rel="${rel}"]`); if (link) link.click(); };
const keys = {
  ArrowLeft: () => follow("prev"),
  ArrowRight: () => follow("next"),
  "/": () => { const field = document.querySelector(".filters input, .filters select, textarea"); if (field) field.focus(); },
  "?": () => document.getElementById("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
