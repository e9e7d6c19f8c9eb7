// What HTML and htmx cannot do by themselves: choose all rows of a table, and show the age of the page.
"use strict";

function countChosen(form) {
  const chosen = form.querySelectorAll("input[type=checkbox][name]:checked").length;
  for (const button of form.querySelectorAll("[data-needs-selection]")) button.disabled = chosen === 0;
  for (const count of form.querySelectorAll("[data-selected]")) count.textContent = chosen;
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("[data-select-all]")) {
    for (const each of box.closest("form").querySelectorAll("input[type=checkbox][name]")) each.checked = box.checked;
  }
  const form = box.closest("form[data-selects]");
  if (form) countChosen(form);
});

// Since when each element has said when it was made: the clocks of reader and server may differ.
const shown = new WeakMap();

function showAges() {
  for (const age of document.querySelectorAll("[data-made]")) {
    if (shown.get(age)?.made !== age.dataset.made) shown.set(age, { made: age.dataset.made, at: Date.now() });
    const seconds = Math.max(0, Math.round((Date.now() - shown.get(age).at) / 1000));
    age.textContent = seconds < 5 ? age.dataset.now : age.dataset.ago.replace("%s", seconds);
    age.classList.toggle("old", seconds > 60);
  }
}

// What htmx brings says neither what is chosen nor how old it is.
function keepUp() {
  for (const form of document.querySelectorAll("form[data-selects]")) countChosen(form);
  showAges();
}

keepUp();
setInterval(keepUp, 1000);
