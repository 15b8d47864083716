// Player: time, camera, controls and the address (`#t=1.2&view=front&paused`, see `fromAddress`).

const element = (name) => document.getElementById(name);
const VIEWS = { // azimuth from +z towards +x, elevation, in degrees
  front: [0, 8], side: [90, 8], back: [180, 8], left: [90, 8], right: [-90, 8], top: [0, 89.9], reset: [35, 16],
};
const RADIAN = Math.PI / 180, CAPTION = 50; // pixels for name and text above a figure
const MODES = ["mesh", "skeleton", "both"], SWITCHES = ["contacts", "follow", "floor"];

addEventListener("error", (event) => end("failed", `This page failed: ${event.message}`));

const motions = readMotions(JSON.parse(element("data").textContent));
const canvas = element("canvas"), root = document.documentElement;
const state = { time: 0, playing: true, speed: 1, mode: "mesh", contacts: true, follow: true, floor: true, only: -1 };
const camera = { azimuth: 0, elevation: 0, zoom: 1, shift: [0, 0, 0], fixed: null };
let scene = null, waiting = 0, before = 0;

const shown = () => (state.only < 0 ? motions : [motions[state.only]]);
const duration = () => Math.max(...shown().map((motion) => motion.duration));
const frameTime = () => 1 / Math.max(...shown().map((motion) => motion.fps));

/** Take what the address asks for. Nothing in it is needed.
 *
 * t: seconds. view: a name of VIEWS, or azimuth,elevation in degrees. camera: azimuth,elevation,distance,x,y,z (in
 * metres, the point that is looked at): the same for every sample. sample: 1 and on, or all. mode: mesh, skeleton,
 * both. speed, contacts, follow, floor: numbers and on/off. paused. bare: no controls. scheme: light or dark.
 */
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)), number = (name, other) => {
    const value = parseFloat(asked.get(name));
    return Number.isFinite(value) ? value : other;
  };
  const numbers = (name) => (asked.get(name) || "").split(",").map(parseFloat);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.scheme = asked.get("scheme") || (dark ? "dark" : "light");
  const sample = Math.round(number("sample", 0));
  state.only = motions.length === 1 ? 0 : Math.min(Math.max(sample, 0), motions.length) - 1;
  state.time = Math.min(Math.max(number("t", 0), 0), duration());
  state.playing = !asked.has("paused") && duration() > 0;
  state.speed = Math.min(Math.max(number("speed", 1), 0.1), 2);
  state.mode = MODES.includes(asked.get("mode")) ? asked.get("mode") : "mesh";
  for (const name of SWITCHES) state[name] = asked.get(name) !== "off";
  const [azimuth, elevation] = VIEWS[asked.get("view")] || numbers("view");
  lookFrom(Number.isFinite(azimuth) && Number.isFinite(elevation) ? [azimuth, elevation] : VIEWS.reset);
  const fixed = numbers("camera");
  if (fixed.length === 6 && fixed.every(Number.isFinite)) {
    lookFrom(fixed);
    camera.fixed = { distance: fixed[2], target: fixed.slice(3) };
  }
  element("controls").hidden = element("captions").hidden = asked.has("bare");
  refresh();
}

function lookFrom([azimuth, elevation]) {
  [camera.azimuth, camera.elevation] = [azimuth * RADIAN, elevation * RADIAN];
  Object.assign(camera, { zoom: 1, shift: [0, 0, 0], fixed: null });
}

/** Where the samples go, as large as can be: [x, y, width, height] from above, in parts of the stage. */
function tiles(count) {
  const aspect = canvas.clientWidth / Math.max(canvas.clientHeight, 1), wanted = 0.8; // a standing person and room
  const size = (columns) => Math.min(aspect / columns / wanted, 1 / Math.ceil(count / columns));
  const better = (best, next) => (size(next) > size(best) + 1e-6 ? next : best);
  const columns = Array.from({ length: count }, (_, i) => i + 1).reduce(better);
  const rows = Math.ceil(count / columns);
  const placeOf = (i) => [(i % columns) / columns, Math.floor(i / columns) / rows, 1 / columns, 1 / rows];
  return Array.from({ length: count }, (_, i) => placeOf(i));
}

/** The camera of a sample in a tile, so many pixels large: it shows all samples at one size, below their names. */
function cameraOf(motion, time, width, height) {
  const { azimuth, elevation, zoom, shift, fixed } = camera;
  if (fixed) return { azimuth, elevation, ...fixed };
  const half = Math.tan(FIELD_OF_VIEW * RADIAN / 2), caption = Math.min(CAPTION / height, 0.3);
  const sizes = shown().map(({ low, high, around }) => {
    const tall = (high[1] - low[1]) / 2, way = Math.hypot(high[0] - low[0], high[2] - low[2]) / 2;
    const wide = state.follow ? around : way;
    return Math.max(1.1 * tall / half / (1 - caption), 1.1 * wide / half * height / width) + Math.min(wide, tall);
  });
  const distance = Math.max(...sizes) / zoom, { low, high } = motion;
  const [x, z] = state.follow ? followedAt(motion, time) : [0, 2].map((axis) => (low[axis] + high[axis]) / 2);
  const target = [x, (low[1] + high[1]) / 2 + caption * half * distance, z].map((value, axis) => value + shift[axis]);
  return { azimuth, elevation, distance, target };
}

function draw() {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const sides = [canvas.clientWidth, canvas.clientHeight];
  const [width, height] = sides.map((side) => Math.max(1, Math.round(side * ratio)));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const colours = readColours(), places = tiles(shown().length);
  shown().forEach((motion, i) => {
    const [x, y, w, h] = places[i], left = Math.round(x * width), low = Math.round((1 - y - h) * height);
    const area = [left, low, Math.round((x + w) * width) - left, Math.round((1 - y) * height) - low];
    const eye = cameraOf(motion, state.time, area[2] / ratio, area[3] / ratio);
    scene.draw({ ...state, motion, area, camera: eye, colours });
  });
  root.dataset.time = state.time.toFixed(4);
  root.dataset.drawn = shown().length;
}

/** The colours of page.css, in parts of 1; those without a name there are mixed from them. */
function readColours() {
  const style = getComputedStyle(root), colours = {};
  for (const name of ["paper", "floor", "grid", "ink", "left", "right", "middle", "touch"]) {
    const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
    colours[name] = [0, 2, 4].map((digit) => parseInt(hex.slice(digit, digit + 2), 16) / 255);
  }
  const dark = root.dataset.scheme === "dark", shade = dark ? mix(colours.paper, [0, 0, 0], 0.6) : colours.ink;
  return { ...colours, shade, clay: dark ? [0.78, 0.8, 0.82] : [0.98, 0.97, 0.96] };
}

function step(now) {
  waiting = 0;
  if (state.playing) {
    state.time += before ? Math.min(now - before, 200) / 1000 * state.speed : 0;
    if (state.time > duration()) state.time %= duration();
    before = now;
  }
  draw();
  showTime();
  if (state.playing) redraw();
}

function redraw() {
  if (scene && !waiting) waiting = requestAnimationFrame(step);
}

/** Show the state on the controls, lay out the captions, and draw. */
function refresh() {
  before = 0;
  element("play").classList.toggle("playing", state.playing);
  for (const button of element("mode").children) button.setAttribute("aria-pressed", button.value === state.mode);
  for (const name of SWITCHES) element(name).checked = state[name];
  element("speed").value = state.speed;
  element("times").textContent = `${state.speed.toFixed(1)}×`;
  element("time").max = duration() || 1;
  element("which").textContent = state.only < 0 ? `All ${motions.length}` : `${state.only + 1} of ${motions.length}`;
  const places = tiles(shown().length);
  element("captions").replaceChildren(...shown().map((motion, i) => tileOf(motion, places[i])));
  drawStrip();
  showTime();
  redraw();
}

function showTime() {
  const fps = 1 / frameTime(), frame = Math.round(state.time * fps);
  element("time").value = state.time;
  element("clock").textContent = `${state.time.toFixed(2)} / ${duration().toFixed(2)} s · frame ${frame}`;
  root.dataset.frame = frame;
}

/** A tile with name and text of its sample; a click on them shows it alone, another all. */
function tileOf(motion, [x, y, width, height]) {
  const [tile, button, name, text] = ["div", "button", "b", "span"].map((kind) => document.createElement(kind));
  [tile.className, button.className] = ["tile", "caption"];
  const [left, top, wide, high] = [x, y, width, height].map((share) => `${100 * share}%`);
  const borderWidth = `${y > 0 ? 1 : 0}px 0 0 ${x > 0 ? 1 : 0}px`;
  Object.assign(tile.style, { left, top, width: wide, height: high, borderWidth });
  name.textContent = motion.name || `sample ${motions.indexOf(motion) + 1}`;
  text.textContent = motion.text;
  button.append(name, text);
  tile.append(button);
  button.onclick = () => showOnly(state.only < 0 ? motions.indexOf(motion) : -1);
  return tile;
}

/** Below the time line, when something stands on the floor: left, right, and what has no side. */
function drawStrip() {
  const strip = element("strip"), [motion] = shown(), context = strip.getContext("2d"), { body } = motion;
  Object.assign(strip, { width: strip.clientWidth * 2, height: 10 });
  if (!state.contacts || !motion.contacts || shown().length > 1 || !motion.duration) return;
  ["left", "right", "middle"].forEach((side, row) => {
    const joints = body.order.filter((joint) => body.sides[joint] === side);
    context.fillStyle = getComputedStyle(root).getPropertyValue(`--${side}`);
    for (let frame = 0; frame < motion.frames; frame++) {
      const on = joints.some((joint) => touches(motion, joint, frame / motion.fps)), wide = strip.width / motion.frames;
      if (on) context.fillRect(frame * wide, side === "middle" ? 0 : 6 * row, wide + 0.5, side === "middle" ? 10 : 4);
    }
  });
}

function showOnly(sample) {
  state.only = motions.length === 1 ? 0 : sample < 0 ? -1 : (sample + motions.length) % motions.length;
  state.time = Math.min(state.time, duration());
  refresh();
}

function change(values) {
  Object.assign(state, values);
  state.speed = Math.round(10 * Math.min(Math.max(state.speed, 0.1), 2)) / 10;
  refresh();
}

function stepFrames(count) {
  const frame = Math.round(state.time / frameTime()) + count;
  change({ playing: false, time: Math.min(Math.max(frame * frameTime(), 0), duration()) });
}

function play() {
  const over = state.time >= duration() - 1e-6;
  change({ playing: !state.playing && duration() > 0, time: !state.playing && over ? 0 : state.time });
}

/** One finger or the left button turns; two fingers, another button or shift move; wheel and pinch go nearer. */
function orbit() {
  const fingers = new Map();
  const span = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  const move = (x, y) => {
    const scale = 2 * Math.tan(FIELD_OF_VIEW * RADIAN / 2) / canvas.clientHeight, { azimuth, elevation } = camera;
    const far = cameraOf(shown()[0], state.time, canvas.clientWidth, canvas.clientHeight).distance * scale;
    const [sa, ca, se, ce] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
    const way = [-ca * x - se * sa * y, ce * y, sa * x - se * ca * y].map((value) => value * far);
    const held = camera.fixed ? camera.fixed.target : camera.shift;
    way.forEach((value, axis) => { held[axis] += value; });
  };
  const nearer = (factor) => {
    if (camera.fixed) camera.fixed.distance /= factor;
    else camera.zoom = Math.min(Math.max(camera.zoom * factor, 0.1), 20);
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };
  canvas.onpointermove = (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const [x, y] = [event.clientX - last.x, event.clientY - last.y], apart = fingers.size > 1 ? span() : 0;
    Object.assign(last, { x: event.clientX, y: event.clientY });
    if (apart) nearer(span() / Math.max(apart, 1)), move(x / fingers.size, y / fingers.size);
    else if (event.shiftKey || event.buttons > 1) move(x, y);
    else {
      camera.azimuth -= 0.008 * x;
      camera.elevation = Math.min(Math.max(camera.elevation + 0.008 * y, 0), 89.9 * RADIAN);
    }
    redraw();
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => fingers.delete(event.pointerId);
  canvas.oncontextmenu = (event) => event.preventDefault();
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    nearer(Math.exp(-0.0015 * event.deltaY * (event.deltaMode ? 20 : 1)));
    redraw();
  }, { passive: false });
  canvas.ondblclick = () => look("reset");
}

function look(view) {
  lookFrom(VIEWS[view]);
  redraw();
}

function controls() {
  element("play").onclick = play;
  element("back").onclick = () => stepFrames(-1);
  element("ahead").onclick = () => stepFrames(1);
  element("time").oninput = (event) => change({ time: Number(event.target.value), playing: false });
  element("speed").oninput = (event) => change({ speed: Number(event.target.value) });
  element("speed").ondblclick = () => change({ speed: 1 });
  for (const button of element("mode").children) button.onclick = () => change({ mode: button.value });
  for (const button of element("view").children) button.onclick = () => look(button.value);
  for (const name of SWITCHES) element(name).onchange = (event) => change({ [name]: event.target.checked });
  element("samples").hidden = motions.length === 1;
  element("which").onclick = () => showOnly(state.only < 0 ? 0 : -1);
  element("before").onclick = () => showOnly(state.only < 0 ? motions.length - 1 : state.only - 1);
  element("after").onclick = () => showOnly(state.only + 1);
  const { onclick: sampleBefore } = element("before"), { onclick: sampleAfter } = element("after");
  const keys = {
    " ": play, ArrowLeft: () => stepFrames(-1), ArrowRight: () => stepFrames(1), Home: () => change({ time: 0 }),
    End: () => change({ time: duration(), playing: false }), PageUp: sampleBefore, PageDown: sampleAfter,
    "-": () => change({ speed: state.speed - 0.1 }), "+": () => change({ speed: state.speed + 0.1 }),
    1: () => change({ mode: "mesh" }), 2: () => change({ mode: "skeleton" }), 3: () => change({ mode: "both" }),
    c: () => change({ contacts: !state.contacts }), f: () => change({ follow: !state.follow }),
    g: () => change({ floor: !state.floor }), a: element("which").onclick, r: () => look("reset"),
  };
  addEventListener("keydown", (event) => {
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    const ownUse = event.key === " " && event.target.matches?.("button, label, input");
    if (!act || ownUse || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  addEventListener("click", (event) => event.detail && document.activeElement.blur()); // or space would press it again
  addEventListener("resize", refresh);
  addEventListener("hashchange", fromAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fromAddress);
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => location.reload());
}

/** Show a sentence in place of the figures; `status` on the root element tells a test what became of the page. */
function end(status, sentence) {
  root.dataset.status = status;
  element("sentence").textContent = sentence;
  element("sentence").hidden = false;
  element("controls").hidden = true;
}

scene = createScene(canvas);
motions.forEach(measure);
fromAddress();
if (scene) {
  controls();
  orbit();
  draw();
  root.dataset.status = "ready";
} else {
  const who = "a current Firefox, Chrome, Edge or Safari does";
  end("no webgl", `This page draws with WebGL 2, which this browser does not offer here; ${who}.`);
}
