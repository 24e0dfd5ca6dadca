// One run with a slider for time. Reads the numbers of #run-data, fills #run-view.
"use strict";
(() => {
  const root = document.getElementById("run-view");
  window.addEventListener("error", (event) => {
    root.dataset.error = event.message;
    root.textContent = "The run cannot be shown: " + event.message;
  });

  const data = JSON.parse(document.getElementById("run-data").textContent);
  const BLUE = "#0072B2", RED = "#D55E00", SKY = "#56B4E9", GREY = "#999";
  const WIDE = 480, HIGH = 300;
  const BOX = { left: 62, right: 470, top: 26, bottom: 254 };

  // --- numbers and words ---

  const finite = (values) => values.filter((v) => v !== null);
  const escaped = (text) =>
    String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const short = (v) =>
    v === null ? "not finite" : String(Number(v.toPrecision(4))).replace("-", "−");

  function bounds(values) {
    let low = Infinity, high = -Infinity;
    for (const v of values) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
    return low <= high ? [low, high] : [0, 1];
  }

  function widened([low, high], share) {
    const more = share * (high - low) || 1;
    return [low - more, high + more];
  }

  // Bit i of the pattern, frames before neurons before data.
  const bytes = Uint8Array.from(atob(data.pattern), (c) => c.charCodeAt(0));
  const bit = (i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1;

  // --- axes: a place of 0 to 1 for a number, and ticks [number, label] ---

  function tickLabel(v) {
    if (v === 0 || (Math.abs(v) >= 1e-3 && Math.abs(v) < 1e4)) {
      return String(Number(v.toPrecision(6))).replace("-", "−");
    }
    const [digits, power] = v.toExponential().split("e");
    const factor = Number(digits) === 1 ? "" : digits.replace("-", "−") + "·";
    const raised = power.replace("+", "").replace("-", "−");
    return `${factor}10<tspan dy="-5" font-size="9">${raised}</tspan>`;
  }

  function linear(low, high) {
    const rough = (high - low) / 6, unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 5, 10].find((m) => m * unit >= rough * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
      ticks.push([i * step, tickLabel(i * step)]);
    }
    return { place: (v) => (v - low) / (high - low), ticks };
  }

  function logTicks(low, high) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const inside = (v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9);
    const choose = (factors, stride) => {
      const found = [];
      for (let p = first; p <= last; p += stride) {
        for (const f of factors) found.push(Number(`${f}e${p}`));
      }
      return found.filter(inside);
    };
    const stride = Math.ceil((last - first) / 6);
    const powers = choose([1], stride);
    if (powers.length > 2) return powers;
    const more = choose([1, 2, 5], 1);
    return more.length > 1 ? more : linear(low, high).ticks.map(([v]) => v).filter(inside);
  }

  function logarithmic(low, high) {
    if (!(low < high)) [low, high] = [low / 2, low * 2];
    const span = Math.log(high / low);
    const place = (v) => Math.log(Math.max(v, low) / low) / span;
    return { place, ticks: logTicks(low, high).map((v) => [v, tickLabel(v)]) };
  }

  // Logarithmic; time 0 has a place of its own before the first time after it.
  function timeAxis() {
    const times = finite(data.times), after = times.filter((t) => t > 0);
    if (!after.length) return linear(...widened(bounds(times), 0.1));
    const zero = times[0] === 0 ? 0.07 : 0;
    const log = logarithmic(...bounds(after));
    const place = (t) => (t < after[0] ? 0 : zero + (1 - zero) * log.place(t));
    return { place, ticks: zero ? [[0, "0"], ...log.ticks] : log.ticks };
  }

  // --- panels: an axes box, and a group that is drawn again at every time ---

  const panels = [];

  function panel(title, across, up, labels, still, draw) {
    const x = (v) => BOX.left + (BOX.right - BOX.left) * across.place(v);
    const y = (v) => BOX.bottom - (BOX.bottom - BOX.top) * up.place(v);
    const ticks = (across.ticks || [])
      .map(([v, label]) => `<path d="M${x(v)} ${BOX.bottom}v5" stroke="#333"/>` +
        `<text x="${x(v)}" y="${BOX.bottom + 19}" text-anchor="middle">${label}</text>`)
      .concat((up.ticks || []).map(([v, label]) =>
        `<path d="M${BOX.left} ${y(v)}h-5" stroke="#333"/>` +
        `<text x="${BOX.left - 8}" y="${y(v) + 4}" text-anchor="end">${label}</text>`));
    const middle = (BOX.top + BOX.bottom) / 2;
    const inner = `x="${BOX.left}" y="${BOX.top}" width="${BOX.right - BOX.left}" ` +
      `height="${BOX.bottom - BOX.top}"`;
    // An inner svg cuts off what leaves the axes.
    const view = `<svg ${inner} viewBox="${BOX.left} ${BOX.top} ` +
      `${BOX.right - BOX.left} ${BOX.bottom - BOX.top}">`;
    const place = document.createElement("div");
    place.innerHTML =
      `<svg viewBox="0 0 ${WIDE} ${HIGH}" role="img" aria-label="${escaped(title)}">` +
      `<text x="${BOX.left}" y="16" font-weight="600">${escaped(title)}</text>` +
      `${view}${still(x, y)}<g class="now"></g></svg>` +
      `<rect ${inner} fill="none" stroke="#333"/>${ticks.join("")}` +
      `<text x="${(BOX.left + BOX.right) / 2}" y="${HIGH - 8}" text-anchor="middle">` +
      `${escaped(labels[0])}</text>` +
      `<text transform="translate(14 ${middle}) rotate(-90)" text-anchor="middle">` +
      `${escaped(labels[1])}</text></svg>`;
    const now = place.querySelector(".now");
    panels.push({ place, draw: (frame) => { now.innerHTML = draw(frame, x, y); } });
  }

  function line(points, style) {
    let path = "", pen = "M";
    for (const [x, y] of points) {
      if (x === null || y === null) { pen = "M"; continue; }
      path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    }
    return `<path d="${path}" fill="none" ${style}/>`;
  }

  const dot = (x, y, style) => `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" ${style}/>`;
  const upright = (x, style) => `<path d="M${x.toFixed(1)} ${BOX.top}V${BOX.bottom}" ${style}/>`;
  const times = timeAxis();
  const timeOf = (frame) => data.times[data.frames[frame]];
  const lossOf = (frame) => data.losses[data.frames[frame]];

  function functionPanel() {
    const kinks = data.kinks || data.frames.map(() => []);
    const across = linear(data.points[0], data.points[data.points.length - 1]);
    // Outputs that blow up do not squeeze the data: three times their range is shown.
    const [low, high] = bounds(finite(data.targets)), more = 1.5 * (high - low) || 1;
    const seen = finite(data.values.flat()).filter((v) => v > low - more && v < high + more);
    const up = linear(...widened(bounds(seen.concat(data.targets)), 0.05));
    const still = (x, y) => data.x.map((v, k) =>
      dot(x(v), y(data.targets[k]), 'r="2.6" fill="black"')).join("");
    panel("function" + (data.kinks ? " and kinks" : ""), across, up, ["x", "f(x)"], still,
      (frame, x, y) => {
        const on = kinks[frame].map((v, i) => [v, (data.heights || [])[frame][i]])
          .filter(([v, f]) => v !== null && f !== null);
        const curve = data.points.map((v, j) => [v, data.values[frame][j]]).concat(on)
          .sort((a, b) => a[0] - b[0]);
        const put = ([v, f]) => [x(v), f === null ? null : y(f)];
        return on.map(([v]) => upright(x(v), `stroke="${SKY}" stroke-width="0.8"`)).join("") +
          line(curve.map(put), `stroke="${BLUE}" stroke-width="2"`) +
          on.map(([v, f]) => dot(x(v), y(f), `r="3.6" fill="white" stroke="${RED}" stroke-width="1.6"`)).join("");
      });
  }

  function predictionPanel() {
    const [low, high] = bounds(finite(data.targets)), more = 0.5 * (high - low) || 1;
    const seen = finite(data.predictions.flat()).filter((v) => v > low - more && v < high + more);
    const range = widened(bounds(seen.concat(data.targets)), 0.05);
    const scale = linear(...range);
    const still = (x, y) =>
      line([[x(range[0]), y(range[0])], [x(range[1]), y(range[1])]], `stroke="${GREY}"`);
    panel("outputs against targets", scale, scale, ["target", "output"], still,
      (frame, x, y) => data.predictions[frame].map((f, k) => f === null ? "" :
        dot(x(data.targets[k]), y(f), `r="3" fill="${BLUE}" fill-opacity="0.5"`)).join(""));
  }

  function lossPanel() {
    const positive = finite(data.losses).filter((v) => v > 0);
    const up = positive.length
      ? logarithmic(...bounds(positive).map((v, i) => v * [0.85, 1.15][i]))
      : linear(-1, 1);
    const still = (x, y) => data.plateaus.map(([start, end, running], i) => {
      const left = x(start), right = x(end === null ? data.times[data.times.length - 1] : end);
      return `<rect x="${left}" y="${BOX.top}" width="${Math.max(right - left, 0)}" ` +
        `height="${BOX.bottom - BOX.top}" fill="${SKY}" fill-opacity="${i % 2 ? 0.2 : 0.35}">` +
        `<title>plateau ${i + 1}${running ? ", still running" : ""}</title></rect>`;
    }).join("") + line(
      data.times.map((t, i) => [x(t), data.losses[i] === null ? null : y(data.losses[i])]),
      `stroke="${BLUE}" stroke-width="2"`);
    panel("loss", times, up, [data.unit, "loss"], still, (frame, x, y) =>
      upright(x(timeOf(frame)), `stroke="${RED}"`) + (lossOf(frame) === null ? "" :
        dot(x(timeOf(frame)), y(lossOf(frame)), `r="5" fill="${RED}" stroke="white"`)));
  }

  function rasterPanel() {
    const rows = data.neurons.length, columns = data.data;
    const across = { place: (k) => k / columns, ticks: [] };
    const every = Math.ceil(rows / 10);
    const up = { place: (i) => i / rows };
    up.ticks = data.neurons.map((name, i) => [i + 0.5, String(name)])
      .filter((_, i) => i % every === 0);
    panel("activations", across, up, [data.order, "neuron"], () => "", (frame, x, y) => {
      const from = frame * rows * columns;
      let path = "";
      for (let i = 0; i < rows; i++) {
        for (let k = 0; k < columns; k++) {
          if (!bit(from + i * columns + k)) continue;
          const start = k;
          while (k + 1 < columns && bit(from + i * columns + k + 1)) k++;
          const left = x(start), right = x(k + 1), top = y(i + 0.92), bottom = y(i + 0.08);
          path += `M${left.toFixed(1)} ${top.toFixed(1)}H${right.toFixed(1)}V${bottom.toFixed(1)}H${left.toFixed(1)}Z`;
        }
      }
      return `<path d="${path}" fill="${SKY}"/>`;
    });
  }

  function kinkPanel() {
    const low = data.points[0], high = data.points[data.points.length - 1];
    const up = linear(low, high);
    const inside = (v) => v !== null && v >= low && v <= high;
    const still = (x, y) => data.x.map((v) =>
      `<path d="M${BOX.left} ${y(v).toFixed(1)}H${BOX.right}" stroke="#ddd" stroke-width="0.6"/>`).join("") +
      data.neurons.map((_, i) => line(data.frames.map((_, f) => {
        // Drawn out to the edge, but not from one side of the view to the other.
        const near = [f - 1, f, f + 1].some((g) => data.kinks[g] && inside(data.kinks[g][i]));
        const v = near ? data.kinks[f][i] : null;
        return [x(timeOf(f)), v === null ? null : y(v)];
      }), `stroke="${BLUE}" stroke-opacity="0.7"`)).join("");
    panel("where the kinks go", times, up, [data.unit, "x"], still, (frame, x, y) =>
      upright(x(timeOf(frame)), `stroke="${RED}"`) + data.kinks[frame].filter(inside)
        .map((v) => dot(x(timeOf(frame)), y(v), `r="3" fill="${RED}"`)).join(""));
  }

  // --- the slider ---

  function element(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }

  const last = data.frames.length - 1;
  const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: last });
  slider.setAttribute("aria-label", "time");
  const button = element("button", { type: "button", textContent: "Play" });
  const output = element("output", { id: "run-now" });
  const grid = element("div", { className: "panels" });
  const controls = element("div", { className: "controls" });
  controls.append(button, slider, output);
  root.append(controls, grid);

  function show(frame) {
    const time = timeOf(frame), loss = lossOf(frame);
    const on = data.plateaus.findIndex(([start, end]) =>
      start <= time && (end === null || time <= end));
    slider.value = frame;
    for (const one of panels) one.draw(frame);
    const where = on < 0 ? "" : `, plateau ${on + 1} of ${data.plateaus.length}`;
    output.textContent = `time ${short(time)}, loss ${short(loss)}${where}`;
    slider.setAttribute("aria-valuetext", output.textContent);
    Object.assign(root.dataset, { frame, time, loss: String(loss) });
  }

  function nearest(time) {
    const away = data.frames.map((_, f) => Math.abs(times.place(timeOf(f)) - times.place(time)));
    return away.indexOf(Math.min(...away));
  }

  let timer = null;
  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  function play() {
    if (Number(slider.value) === last) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next <= last) show(next);
      if (next >= last) pause();
    }, 80);
  }
  function move(by) {
    pause();
    show(Math.min(Math.max(Number(slider.value) + by, 0), last));
  }
  function fromAddress() {
    const found = /[#&]t=([^&]*)/.exec(location.hash), time = found ? Number(found[1]) : NaN;
    if (Number.isFinite(time)) show(nearest(time));
  }

  button.addEventListener("click", () => (timer === null ? play() : pause()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  root.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || event.target === slider) return;  // the slider knows them
    event.preventDefault();
    move(by);
  });
  window.addEventListener("hashchange", fromAddress);

  if (data.values) functionPanel(); else predictionPanel();
  lossPanel();
  rasterPanel();
  if (data.kinks) kinkPanel();
  for (const one of panels) grid.append(one.place);
  show(last);
  fromAddress();
})();
