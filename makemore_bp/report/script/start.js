// Brings the page to life; without it everything but the network stands there as a picture.

const page = JSON.parse(document.getElementById("data").textContent);
document.body.classList.add("script");

for (const [name, data] of Object.entries(page.pictures || {})) {
  const figure = document.querySelector(`figure[data-picture="${CSS.escape(name)}"]`);
  if (data.kind === "cells") new Cells(figure, data);
  else new Frame(figure, { ...data, name }, data.kind === "points" ? new Points(data) : new Lines(data));
}
if (page.network) new Playing(document.querySelector(".playing"), page.network);
