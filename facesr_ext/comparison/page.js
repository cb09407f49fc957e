'use strict';
document.documentElement.classList.add('js');

// Tables: a click on a column's head sorts by it, another one turns the order round; cells without a figure stay last.
function sortTable(table, column, descending) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, row => ({ row, cell: row.cells[column] }));
  const numbers = rows.some(({ cell }) => cell.dataset.sort);
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => {
    if (!numbers) return sign * a.cell.textContent.localeCompare(b.cell.textContent, undefined, { numeric: true });
    const x = a.cell.dataset.sort ? Number(a.cell.dataset.sort) : NaN;
    const y = b.cell.dataset.sort ? Number(b.cell.dataset.sort) : NaN;
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  });
  body.append(...rows.map(({ row }) => row));
}

for (const table of document.querySelectorAll('table.sortable')) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const now = head.getAttribute('aria-sort');
    const descending = now ? now === 'ascending' : head.dataset.first === 'descending';
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
    sortTable(table, column, descending);
  }));
}

// Before and after: two images of a face on top of each other, the upper one cut off where the slider stands.
for (const face of document.querySelectorAll('.face')) {
  const images = Array.from(face.querySelectorAll('tr.images img'));
  const [lower, upper] = face.querySelectorAll('.view img');
  const [left, right] = face.querySelectorAll('select');
  const slider = face.querySelector('.view input');
  const line = face.querySelector('.view i');
  const show = (target, select) => {
    const source = images[select.value];
    target.src = source.src;
    target.alt = source.alt;
    target.classList.toggle('pixels', source.classList.contains('pixels'));
  };
  const update = () => {
    show(upper, left);
    show(lower, right);
    upper.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    line.style.left = `${slider.value}%`;
    const name = select => select.options[select.selectedIndex].text;
    slider.setAttribute('aria-valuetext', `${slider.value} % ${name(left)}, the rest ${name(right)}`);
  };
  for (const control of [left, right, slider]) control.addEventListener('input', update);
  lower.width = images[images.length - 1].naturalWidth || 128;
  update();
}

// A click on an image shows it large; the arrow keys go to the next column, in the same place.
const dialog = document.querySelector('dialog');
const large = dialog.querySelector('img');
const caption = dialog.querySelector('span');
let row = [];
let place = 0;
function showLarge(step) {
  place = (place + step + row.length) % row.length;
  large.src = row[place].src;
  large.alt = row[place].alt;
  caption.textContent = row[place].alt;
}
for (const button of document.querySelectorAll('table.strip button')) {
  button.addEventListener('click', () => {
    row = Array.from(button.closest('tr').querySelectorAll('img'));
    place = row.indexOf(button.querySelector('img'));
    showLarge(0);
    dialog.showModal();
  });
}
const [previous, next, close] = dialog.querySelectorAll('button');
previous.addEventListener('click', () => showLarge(-1));
next.addEventListener('click', () => showLarge(1));
close.addEventListener('click', () => dialog.close());
dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener('keydown', event => {
  if (event.key === 'ArrowLeft') showLarge(-1);
  if (event.key === 'ArrowRight') showLarge(1);
});
