// Charts of uPlot (MIT, beside this file): one series with its forecast, and accuracy over time.
(() => {
  "use strict";
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const locale = document.documentElement.lang;
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const long = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
  const month = new Intl.DateTimeFormat(locale, { month: "short", year: "2-digit", timeZone: "UTC" });
  const seconds = (text) => Date.parse(text.length > 10 ? `${text.replace(" ", "T")}Z` : `${text}T00:00:00Z`) / 1000;
  const utc = (moment) => new Date(moment * 1000);

  function axes(write) {
    const line = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const time = (_plot, splits, _axis, _space, step) => splits.map((one) => (step >= 28 * 86400 ? month : day).format(utc(one)));
    const incrs = [1, 2, 7, 14, 28, 91, 182, 365, 730].map((days) => days * 86400);
    return [{ ...line, values: time, incrs, space: 64 }, { ...line, size: 56, values: (_plot, splits) => splits.map((one) => (one === null ? "" : write.format(one))) }];
  }

  function legend(list, entries) {
    list.replaceChildren(...entries.map(([name, kind, colour]) => {
      const item = document.createElement("li"), mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      mark.setAttribute("viewBox", "0 0 24 12");
      const shape = document.createElementNS(mark.namespaceURI, kind === "line" || kind === "dash" ? "path" : "rect");
      if (shape.tagName === "path") {
        shape.setAttribute("d", "M1 6H23"); shape.setAttribute("stroke", colour); shape.setAttribute("stroke-width", "2.5");
        if (kind === "dash") shape.setAttribute("stroke-dasharray", "4 3");
      } else {
        shape.setAttribute("x", kind === "band" ? 1 : 9); shape.setAttribute("y", kind === "band" ? 0 : 3);
        shape.setAttribute("width", kind === "band" ? 22 : 6); shape.setAttribute("height", kind === "band" ? 12 : 6);
        shape.setAttribute("fill", colour);
      }
      mark.append(shape);
      item.append(mark, name);
      return item;
    }));
  }

  function fitted(place, options, data, after) {
    place.replaceChildren();
    const height = place.clientHeight;
    const plot = new uPlot({ ...options, width: place.clientWidth, height, tzDate: utc, legend: { show: false } }, data, place);
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height })).observe(place);
    if (after) after(plot);
    return plot;
  }

  // Tip beside the cursor: the day and every value there is.
  function tip(names, write, extra) {
    const box = document.createElement("div");
    box.className = "tip";
    box.hidden = true;
    return {
      hooks: {
        init: [(plot) => plot.over.append(box)],
        setCursor: [(plot) => {
          const at = plot.cursor.idx;
          if (at === null || at === undefined || plot.cursor.left < 0) { box.hidden = true; return; }
          const lines = [long.format(utc(plot.data[0][at]))];
          names.forEach((name, row) => {
            const value = name && plot.data[row + 1][at];
            if (value !== null && value !== undefined && value !== "" && name) lines.push(`${name}: ${write.format(value)}`);
          });
          if (extra) lines.push(...extra(at));
          box.replaceChildren(...lines.map((text, row) => {
            const line = document.createElement(row ? "div" : "strong");
            line.textContent = text;
            return line;
          }));
          box.hidden = lines.length < 2;
          const right = plot.cursor.left > plot.over.clientWidth / 2;
          box.style.left = right ? "" : `${plot.cursor.left + 14}px`;
          box.style.right = right ? `${plot.over.clientWidth - plot.cursor.left + 14}px` : "";
        }],
      },
    };
  }

  // Promotions as a strip at the foot, days out of stock shaded from top to bottom, the cutoff as a line.
  function marks(found) {
    return {
      hooks: {
        drawClear: [(plot) => {
          const { ctx, bbox } = plot, scale = uPlot.pxRatio;
          const width = (at) => Math.max(2 * scale, plot.valToPos(plot.data[0][Math.min(at + 1, found.ds.length - 1)], "x", true) - plot.valToPos(plot.data[0][at], "x", true));
          ctx.save();
          ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
          ctx.fillStyle = css("--out");
          found.out.forEach((at) => ctx.fillRect(plot.valToPos(plot.data[0][at], "x", true) - width(at) / 2, bbox.top, width(at), bbox.height));
          ctx.fillStyle = css("--promotion");
          found.promotion.forEach((at) => ctx.fillRect(plot.valToPos(plot.data[0][at], "x", true) - width(at) / 2, bbox.top + bbox.height - 6 * scale, width(at), 6 * scale));
          const cut = plot.valToPos(seconds(found.cutoff) + 43200, "x", true);
          ctx.strokeStyle = css("--quiet"); ctx.lineWidth = scale; ctx.setLineDash([4 * scale, 4 * scale]);
          ctx.beginPath(); ctx.moveTo(cut, bbox.top); ctx.lineTo(cut, bbox.top + bbox.height); ctx.stroke();
          ctx.restore();
        }],
      },
    };
  }

  async function series(place) {
    const words = JSON.parse(place.dataset.words);
    let found;
    try {
      const answer = await fetch(place.dataset.source, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      found = await answer.json();
    } catch {
      place.textContent = words.gone;
      return;
    }
    const draw = () => drawn(place, words, found);
    draw();
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function drawn(place, words, found) {
    const x = found.ds.map(seconds), past = Object.entries(found.past), tints = ["--past1", "--past2", "--past3"];
    const dot = (colour) => ({ show: false, stroke: css(colour) });
    const data = [x, found.p95, found.p05, found.p75, found.p25, ...past.map(([, values]) => values), found.y, found.mean, ...(found.plan.length ? [found.plan] : [])];
    const invisible = { stroke: "transparent", width: 0, points: { show: false } };
    const told = past.map(([cutoff]) => words.past.replace("{day}", day.format(utc(seconds(cutoff)))));
    const options = {
      axes: axes(number), cursor: { y: false, drag: { x: true, y: false } }, scales: { y: { range: (_plot, low, high) => [Math.min(0, low || 0), (high || 1) * 1.06] } },
      series: [{}, invisible, invisible, invisible, invisible,
        ...past.map((_one, row) => ({ stroke: css(tints[row]), width: 1.25, dash: [4, 3], points: dot(tints[row]) })),
        { stroke: css("--actual"), width: 1.4, points: dot("--actual"), spanGaps: false },
        { stroke: css("--accent"), width: 2.4, points: dot("--accent") },
        ...(found.plan.length ? [{ stroke: css("--plan"), width: 2.4, points: { show: false } }] : [])],
      bands: [{ series: [1, 2], fill: css("--band-wide") }, { series: [3, 4], fill: css("--band") }],
      plugins: [marks(found), tip(["", "", "", "", ...told, words.y, words.mean, ...(found.plan.length ? [words.plan] : [])], number, (at) => {
        const lines = [];
        if (found.p05[at] !== null) lines.push(`${words.band}: ${number.format(found.p05[at])} – ${number.format(found.p95[at])}`);
        Object.entries(found.absence).forEach(([why, places]) => { if (places.includes(at)) lines.push(words.absence[why]); });
        if (found.promotion.includes(at)) lines.push(words.promotion);
        return lines;
      })],
    };
    const near = Math.max(0, x.length - found.shown - found.mean.filter((one) => one !== null).length);
    const plot = fitted(place, options, data, (made) => made.setScale("x", { min: x[near], max: x[x.length - 1] }));
    legend(document.getElementById("legend"), [
      [words.y, "line", css("--actual")], [words.mean, "line", css("--accent")], ...(found.plan.length ? [[words.plan, "line", css("--plan")]] : []), [words.p50, "band", css("--band-solid")],
      [words.band, "band", css("--band-wide-solid")], ...told.map((name, row) => [name, "dash", css(tints[row])]),
      ...(found.out.length ? [[words.out, "band", css("--out")]] : []), ...(found.promotion.length ? [[words.promotion, "square", css("--promotion")]] : []),
    ]);
    document.querySelectorAll("[data-zoom]").forEach((button) => {
      button.onclick = () => {
        plot.setScale("x", { min: x[button.dataset.zoom === "all" ? 0 : near], max: x[x.length - 1] });
        document.querySelectorAll("[data-zoom]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
      };
    });
    place.dataset.drawn = String(data[0].length);
  }

  function time(place) {
    const words = JSON.parse(place.dataset.words), rows = JSON.parse(place.dataset.rows);
    const shown = [["wape", "--accent"], ["bias", "--actual"], ["coverage", "--past1"]].filter(([name]) => rows.some((row) => row[name] !== undefined));
    const draw = () => {
      const data = [rows.map((row) => seconds(row.cutoff)), ...shown.map(([name]) => rows.map((row) => row[name] ?? null))];
      fitted(place, {
        axes: axes(percent), cursor: { y: false, drag: { x: false, y: false } },
        series: [{}, ...shown.map(([, colour]) => ({ stroke: css(colour), width: 2, points: { show: rows.length < 40, size: 6, fill: css(colour), stroke: css(colour) } }))],
        plugins: [tip(shown.map(([name]) => words[name]), percent)],
      }, data);
      legend(document.getElementById("time-legend"), shown.map(([name, colour]) => [words[name], "line", css(colour)]));
      place.dataset.drawn = String(rows.length);
    };
    draw();
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  const one = document.getElementById("chart"), over = document.getElementById("time");
  if (one) series(one);
  if (over) time(over);
})();
