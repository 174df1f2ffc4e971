// Filters: rows that are not asked for are hidden, and subjects of whom none is left.
(() => {
  const form = document.querySelector("form"), said = form.querySelector("output");
  const selects = [...form.querySelectorAll("select")];
  const groups = [...document.querySelectorAll(".differences tbody")].map((body) => {
    const rows = [...body.querySelectorAll("tr[data-kind]")].map((row) => [row, selects.map((select) => {
      const text = row.dataset[select.name];
      return select.name === "subject" || select.name === "topic" ? text.split(", ") : [text];
    })]);
    return [body, rows];
  });

  function show() {
    const wanted = selects.map((select) => select.value);
    let seen = 0, all = 0;
    for (const [body, rows] of groups) {
      let some = 0;
      for (const [row, has] of rows) {
        row.hidden = !wanted.every((value, place) => value === "" || has[place].includes(value));
        some += row.hidden ? 0 : 1;
      }
      body.hidden = some === 0;
      seen += some;
      all += rows.length;
    }
    said.textContent = `${seen} of ${all} shown`;
  }

  form.hidden = false;
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
