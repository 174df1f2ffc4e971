// What a figure's mark stands for, when it is pointed at, touched, or stepped to with the arrow keys; where there is more
// to the right than fits.
(() => {
  const tip = document.getElementById("tip"), spoken = document.getElementById("spoken");
  let on = null;

  function hide() {
    tip.hidden = true;
    if (on) for (const part of [on, on.closest(".one")]) part?.classList.remove("on");
    on = null;
  }

  function show(mark) {
    if (mark === on) return;
    hide();
    on = mark;
    for (const part of [on, on.closest(".one")]) part?.classList.add("on");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = mark.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - size.width / 2), innerWidth - size.width - 8);
    const above = box.top - size.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : Math.min(box.bottom + 8, innerHeight - size.height - 4)}px`;
  }

  for (const plot of document.querySelectorAll(".plot")) {
    for (const title of plot.querySelectorAll("svg :not(svg) > title")) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();
    }
    const marks = [...plot.querySelectorAll("[data-tip]")];
    let step = -1;

    function nearest(x, y) {
      let found = null, least = 14;
      for (const mark of marks) {
        const box = mark.getBoundingClientRect();
        if (box.width > 24 || box.height > 24) continue;
        const far = Math.hypot(x - box.left - box.width / 2, y - box.top - box.height / 2);
        if (far < least) [found, least] = [mark, far];
      }
      return found;
    }

    function point(event) {
      const mark = nearest(event.clientX, event.clientY) ?? event.target.closest("[data-tip]");
      if (mark) show(mark); else hide();
    }

    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by || !marks.length) return;
      event.preventDefault();
      step = (step + by + marks.length) % marks.length;
      marks[step].scrollIntoView({ block: "nearest", inline: "nearest" });
      show(marks[step]);
      spoken.textContent = tip.textContent;
    });
  }
  for (const box of document.querySelectorAll(".scroll, .plot")) {
    const look = () => box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }
  addEventListener("scroll", hide, { passive: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
