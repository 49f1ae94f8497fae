"use strict";

const BURST_SECONDS = 3; // between pictures of a burst, by the camera's clock
const BURST_BITS = 80; // of 256 by which they may differ; other scenes differ in about 128
const SIMILAR_BITS = 16; // the same without a time
const FLAT_BITS = 26; // fewer set or unset bits say nothing about what is shown
const NEIGHBOURS = 50; // pictures with which each is compared, in the order of time and name
const THUMB_SIDE = 320;
const MAX_TRIES = 30;
const PICTURES = /\.(jpe?g|jfif|png|webp|avif|hei[cf]|jxl|tiff?|gif|bmp|jp2|ppm|dng|cr[23]|nef|arw|raf|orf|rw2|pef|srw)$/i;
const MARKS = { pick: "picked", reject: "rejected", "": "" };

const at = (id) => document.getElementById(id);
const items = []; // in the order in which they were added
const waiting = [];
let current = null; // item in the viewer
let running = 0;
let skipped = 0;
let health = { processes: 2, max_upload: Infinity };
let token = "";

// ---- the service

function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  token = sessionStorage.getItem("token") || "";
}

function askToken() {
  const dialog = at("ask");
  return new Promise((resolve) => {
    if (dialog.open) {
      dialog.addEventListener("close", resolve, { once: true });
      return;
    }
    dialog.addEventListener("close", () => {
      token = at("token").value;
      sessionStorage.setItem("token", token);
      resolve();
    }, { once: true });
    dialog.showModal();
  });
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function request(file, name, preview) {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const form = new FormData();
    form.append("image", file, name);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const used = token;
    const response = await fetch(`score?preview=${preview}`, { method: "POST", body: form, headers });
    if (response.ok) return response.json();
    if (response.status === 401) {
      if (used === token) await askToken();
    } else if (response.status === 503) {
      await pause(Number(response.headers.get("Retry-After")) || 2);
    } else {
      const answer = await response.json().catch(() => ({}));
      throw new Error(answer.detail || `HTTP status ${response.status}`);
    }
  }
  throw new Error("the service is busy; add the picture again later");
}

async function score(item) {
  const preview = (await makeThumb(item)) ? 0 : 1024; // the browser cannot show the picture that is scored
  if (item.file.size > health.max_upload) {
    throw new Error(`the file has more than ${health.max_upload / 1e6} MB`);
  }
  item.result = await request(item.file, item.name, preview);
  item.bits = bitsOf(item.result.fingerprint);
  if (item.result.preview) item.thumb = item.result.preview;
}

function work() {
  while (running < health.processes + 1 && waiting.length) {
    const item = waiting.shift();
    running += 1;
    score(item).then(
      () => { item.state = "ok"; },
      (error) => { item.state = "failed"; item.error = error.message; },
    ).finally(() => {
      running -= 1;
      drawItem(item);
      if (item === current) view(item);
      if (at("sort").value === "best" || at("sort").value === "worst" || inBursts()) arrangeSoon();
      report();
      work();
    });
  }
}

// ---- pictures that are added

// Whether a file may be an animation, of which the browser would play more than the frame that is scored.
async function moves(file) {
  const head = new Uint8Array(await file.slice(0, 64).arrayBuffer());
  const text = String.fromCharCode(...head);
  const isWebp = text.slice(8, 16) === "WEBPVP8X" && (head[20] & 2) !== 0;
  return text.startsWith("GIF8") || isWebp || text.includes("acTL");
}

async function makeThumb(item) {
  try {
    const bitmap = await createImageBitmap(item.file);
    const scale = Math.min(1, THUMB_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // on which transparent parts are scored
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
    item.thumb = URL.createObjectURL(blob);
    item.shown = !(await moves(item.file));
    drawItem(item);
    if (item === current) drawPhoto(item, false);
    return item.shown;
  } catch {
    return false;
  }
}

function add(files) {
  for (const { file, path } of files) {
    const hidden = path.split("/").some((part) => part.startsWith("."));
    if (hidden || !(file.type.startsWith("image/") || PICTURES.test(path))) {
      skipped += 1;
      continue;
    }
    const item = { file, name: path, state: "waiting", mark: "", number: items.length, node: makeNode() };
    item.node.button.addEventListener("click", () => {
      view(item);
      at("viewer").scrollIntoView({ block: "nearest" });
    });
    items.push(item);
    waiting.push(item);
    drawItem(item);
  }
  at("work").hidden = items.length === 0;
  if (!current && items.length) view(items[0]);
  arrange();
  report();
  work();
}

const fromInput = (input) => [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

async function filesOf(entry, into) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    into.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a reader gives some hundred entries at a time
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const inner of entries) await filesOf(inner, into);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await filesOf(entry, found).catch(() => { skipped += 1; });
  found.sort((a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }));
  add(entries.length ? found : plain);
}

// ---- the sheet

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function makeNode() {
  const image = element("span", { className: "none" });
  const figure = element("span", { className: "score" });
  const label = element("span", { className: "label" });
  const button = element("button", { type: "button" }, image, figure, label);
  return { li: element("li", {}, button), button, image, figure, label };
}

const number = (value) => value.toFixed(1);
const within = (score, result) => number(Math.min(Math.max(score, result.low), result.high)); // a score on its scale
const points = (cost, result) => number(Math.min(cost, result.high - result.low)); // no more than the scale has

function drawItem(item) {
  const { node } = item;
  if (item.thumb && node.image.tagName !== "IMG") {
    const image = element("img", { src: item.thumb, alt: "", loading: "lazy" });
    node.image.replaceWith(image);
    node.image = image;
  }
  const states = { ok: () => `${within(item.result.score, item.result)} ${item.result.word}`, failed: () => "failed", waiting: () => "…" };
  node.figure.textContent = states[item.state]();
  node.figure.classList.toggle("alarm", item.state === "failed");
  node.label.textContent = item.name;
  node.button.className = item.mark;
  node.button.setAttribute("aria-label", [item.name, node.figure.textContent, MARKS[item.mark]].filter(Boolean).join(", "));
  node.button.setAttribute("aria-current", String(item === current));
}

const inBursts = () => at("bursts").getAttribute("aria-pressed") === "true";

const isShown = (item) => ({
  all: true, pick: item.mark === "pick", reject: item.mark === "reject",
  unmarked: item.mark === "", failed: item.state === "failed",
}[at("filter").value]);

const qualityOf = (item) => (item.result ? item.result.quality : null);

function sorted(list) {
  const key = at("sort").value;
  const byQuality = (sign) => (a, b) => {
    const [first, second] = [qualityOf(a), qualityOf(b)];
    if (first === null || second === null) return (first === null) - (second === null);
    return sign * (first - second);
  };
  const order = {
    added: (a, b) => a.number - b.number, worst: byQuality(1), best: byQuality(-1),
    name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  }[key];
  return [...list].sort(order);
}

let shown = []; // items in the order of the sheet

function arrange() {
  const list = sorted(items.filter(isShown));
  for (const item of items) item.node.figure.classList.remove("best");
  const groups = inBursts() ? burstsOf(list) : [list];
  at("sheet").replaceChildren(...(inBursts() ? drawBursts(groups) : groups.map(drawList)));
  shown = groups.flat();
}

let arranging = false;
function arrangeSoon() {
  if (arranging) return;
  arranging = true;
  setTimeout(() => { arranging = false; arrange(); }, 200);
}

const drawList = (group) => element("ol", {}, ...group.map((item) => item.node.li));

function drawBursts(groups) {
  const single = groups.filter((group) => group.length === 1).flat();
  const sections = groups.filter((group) => group.length > 1).map(drawBurst);
  if (single.length) sections.push(element("section", {}, element("h3", {}, "Single pictures"), drawList(single)));
  return sections;
}

function drawBurst(group) {
  const best = bestOf(group);
  best.node.figure.classList.add("best");
  const keep = element("button", { type: "button" }, "Pick the best, reject the others");
  keep.addEventListener("click", () => {
    for (const item of group) setMark(item, item === best ? "pick" : "reject");
  });
  return element("section", {}, element("h3", {}, `Burst of ${group.length}`, keep), drawList(group));
}

function report() {
  const count = (state) => items.filter((item) => item.state === state).length;
  const marked = (mark) => items.filter((item) => item.mark === mark).length;
  const parts = [`${count("ok")} of ${items.length} scored`];
  if (count("failed")) parts.push(`${count("failed")} failed`);
  if (skipped) parts.push(`${skipped} skipped (hidden, or no pictures)`);
  parts.push(`${marked("pick")} picked`, `${marked("reject")} rejected`);
  at("status").textContent = items.length || skipped ? parts.join(", ") : "";
}

// ---- bursts

function bitsOf(hex) {
  const words = [];
  for (let i = 0; i < hex.length; i += 8) words.push(parseInt(hex.slice(i, i + 8), 16));
  return words;
}

function ones(word) {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

const distance = (a, b) => a.reduce((sum, word, i) => sum + ones(word ^ b[i]), 0);

function isTelling(item) {
  const set = item.bits.reduce((sum, word) => sum + ones(word), 0);
  return set >= FLAT_BITS && set <= 256 - FLAT_BITS;
}

function areSimilar(a, b) {
  if (!isTelling(a) || !isTelling(b)) return false;
  const [first, second] = [a, b].map((item) => item.result.taken && Date.parse(`${item.result.taken}Z`));
  if (first && second) {
    return Math.abs(first - second) <= 1000 * BURST_SECONDS && distance(a.bits, b.bits) <= BURST_BITS;
  }
  return distance(a.bits, b.bits) <= SIMILAR_BITS;
}

// Groups of pictures that belong together, those of several first; in each the order of the list.
function burstsOf(list) {
  const scoredOnes = list.filter((item) => item.result);
  const key = (item) => `${item.result.taken || ""} ${item.name}`;
  const line = [...scoredOnes].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const parent = new Map(list.map((item) => [item, item]));
  const root = (item) => {
    while (parent.get(item) !== item) item = parent.get(item);
    return item;
  };
  line.forEach((item, i) => {
    for (const other of line.slice(i + 1, i + 1 + NEIGHBOURS)) {
      if (areSimilar(item, other)) parent.set(root(other), root(item));
    }
  });
  const groups = new Map();
  for (const item of list) groups.set(root(item), [...(groups.get(root(item)) || []), item]);
  return [...groups.values()].sort((a, b) => (b.length > 1) - (a.length > 1));
}

const bestOf = (group) => group.reduce((best, item) => (qualityOf(item) > qualityOf(best) ? item : best));

// ---- the viewer

const SVG = "http://www.w3.org/2000/svg";

function view(item) {
  const before = current;
  current = item;
  if (before) drawItem(before);
  drawItem(item);
  at("viewer").hidden = false;
  at("name").textContent = item.name;
  drawPhoto(item, before !== item);
  drawFacts(item);
  drawRegions(item);
  drawMark(item);
}

function drawPhoto(item, changed) {
  const photo = at("photo");
  if (!changed && photo.src) return;
  if (photo.src.startsWith("blob:")) URL.revokeObjectURL(photo.src);
  photo.removeAttribute("src");
  if (item.shown) photo.src = URL.createObjectURL(item.file);
  else if (item.result?.preview) photo.src = item.result.preview;
  photo.alt = item.name;
}

function drawFacts(item) {
  const { result } = item;
  at("reason").className = item.state === "failed" ? "alarm" : "";
  if (!result) {
    at("facts").textContent = item.state === "failed" ? "not scored" : "is scored …";
    at("reason").textContent = item.error || "";
    return;
  }
  const facts = [` ${result.word}, of ${result.low} to ${result.high} (${result.direction} is better)`, `${result.width} × ${result.height}`];
  if (result.taken) facts.push(result.taken.replace("T", " "));
  facts.push(...result.flags);
  at("facts").replaceChildren(element("b", {}, within(result.score, result)), facts.join(", "));
  const damage = result.damage ? ` Damaged: ${result.damage}.` : "";
  const reason = result.reason === result.worst_caption ? "" : `${result.reason}. `;
  const worst = `Worst region: ${result.worst_caption} It costs ${points(result.worst_cost, result)} points.`;
  at("reason").textContent = reason + worst + damage;
}

function drawRegions(item) {
  const regions = item.result ? item.result.regions : [];
  const svg = at("regions");
  svg.replaceChildren();
  at("hovered").textContent = "";
  if (item.result) {
    const { map_width: w, map_height: h, worst } = item.result;
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    const path = (d, className) => {
      const made = document.createElementNS(SVG, "path");
      made.setAttribute("d", d);
      made.setAttribute("class", className);
      svg.append(made);
      return made;
    };
    path(`M0 0H${w}V${h}H0Z${regions[worst].outline}`, "shade");
    regions.forEach((region, r) => {
      const made = path(region.outline, r === worst ? "region worst" : "region");
      made.dataset.region = r;
    });
    svg.append(svg.querySelector(".worst")); // on top
  }
  const byCost = regions.map((region, r) => [region, r]).sort(([a], [b]) => b.cost - a.cost);
  at("rows").replaceChildren(...byCost.map(([region, r]) => drawRow(region, r, item.result)));
}

function drawRow(region, r, result) {
  const button = element("button", { type: "button" }, r === result.worst ? `${r + 1} worst` : `${r + 1}`);
  const row = element("tr", {},
    element("td", {}, button),
    element("td", { className: "figure" }, points(region.cost, result)),
    element("td", { className: "figure" }, within(region.score, result)),
    element("td", {}, region.text));
  row.dataset.region = r;
  return row;
}

function choose(r) {
  for (const one of document.querySelectorAll("#regions .region, #rows tr")) {
    one.classList.toggle("chosen", one.dataset.region === r);
  }
  const region = r === undefined ? null : current.result.regions[r];
  if (!region) {
    at("hovered").textContent = "";
    return;
  }
  const ratings = Object.entries(region.ratings).filter(([, value]) => value !== null);
  const figures = ratings.map(([name, value]) => `${name} ${number(value)}`).join(", ");
  at("hovered").textContent = `Region ${Number(r) + 1} costs ${points(region.cost, current.result)} points: ${region.text} (${figures})`;
}

function drawMark(item) {
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mark === item.mark));
  }
}

function setMark(item, mark) {
  item.mark = mark;
  drawItem(item);
  if (item === current) drawMark(item);
  report();
}

function step(by) {
  if (!shown.length) return;
  const index = shown.indexOf(current);
  const next = index < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, index + by));
  view(shown[next]);
  shown[next].node.li.scrollIntoView({ block: "nearest" });
}

// ---- lists

const picked = () => sorted(items.filter((item) => item.mark === "pick")).map((item) => item.name);
const quoted = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

function csvText() {
  const lines = sorted(items).map((item) => {
    const { result } = item;
    const figures = result ? [result.score, result.quality, result.word, result.worst_cost, result.reason] : ["", "", "", "", item.error || ""];
    return [item.name, MARKS[item.mark], item.state, ...figures].map(quoted).join(",");
  });
  return ["path,mark,status,score,quality,word,worst_cost,reason", ...lines, ""].join("\r\n");
}

function download(name, text, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copyPicked() {
  const names = picked();
  try {
    await navigator.clipboard.writeText(names.join("\n"));
    at("status").textContent = `${names.length} names copied`;
  } catch { // other addresses than loopback have no clipboard
    download("picked.txt", `${names.join("\n")}\n`, "text/plain");
  }
}

// ---- what a person does

function toggle(button, change) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  change(on);
}

const toggleOutlines = () => toggle(at("outlines"), (on) => at("regions").classList.toggle("outlined", on));
const toggleDim = () => toggle(at("dim"), (on) => at("regions").classList.toggle("dimmed", on));
const toggleBursts = () => toggle(at("bursts"), arrange);

function toggleHelp() {
  at("help").hidden = !at("help").hidden;
  at("keys").setAttribute("aria-expanded", String(!at("help").hidden));
}

const KEYS = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1),
  p: () => current && setMark(current, "pick"), x: () => current && setMark(current, "reject"),
  u: () => current && setMark(current, ""),
  o: toggleOutlines, d: toggleDim, b: toggleBursts, "?": toggleHelp,
};

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  at("theme").setAttribute("aria-pressed", String(dark));
}

function listen() {
  at("files").addEventListener("change", (event) => { add(fromInput(event.target)); event.target.value = ""; });
  at("folder").addEventListener("change", (event) => { add(fromInput(event.target)); event.target.value = ""; });
  let depth = 0; // of elements that the pointer has entered
  const over = (change) => { depth = Math.max(0, depth + change); document.body.classList.toggle("over", depth > 0); };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("drop", (event) => { event.preventDefault(); over(-depth); dropped(event.dataTransfer); });
  document.addEventListener("paste", (event) => add([...event.clipboardData.files].map((file) => ({ file, path: file.name }))));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || at("ask").open) return;
    event.preventDefault();
    act();
  });
  for (const [id, act] of [["outlines", toggleOutlines], ["dim", toggleDim], ["bursts", toggleBursts], ["keys", toggleHelp], ["copy", copyPicked]]) {
    at(id).addEventListener("click", act);
  }
  at("list").addEventListener("click", () => download("picked.txt", picked().map((name) => `${name}\n`).join(""), "text/plain"));
  at("csv").addEventListener("click", () => download("scores.csv", csvText(), "text/csv"));
  at("filter").addEventListener("change", arrange);
  at("sort").addEventListener("change", arrange);
  for (const button of document.querySelectorAll("[data-step]")) button.addEventListener("click", () => step(Number(button.dataset.step)));
  for (const button of document.querySelectorAll("[data-mark]")) {
    button.addEventListener("click", () => setMark(current, current.mark === button.dataset.mark ? "" : button.dataset.mark));
  }
  for (const id of ["regions", "rows"]) {
    const chosen = (event) => choose(event.target.closest("[data-region]")?.dataset.region);
    for (const kind of ["pointerover", "focusin", "click"]) at(id).addEventListener(kind, chosen);
    at(id).addEventListener("pointerleave", () => choose(undefined));
  }
  at("theme").addEventListener("click", () => {
    setTheme(at("theme").getAttribute("aria-pressed") !== "true");
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  });
  window.addEventListener("beforeunload", (event) => {
    if (items.some((item) => item.mark)) event.preventDefault(); // marks exist in this page only
  });
}

async function begin() {
  readToken();
  const theme = localStorage.getItem("theme");
  if (theme) setTheme(theme === "dark");
  else at("theme").setAttribute("aria-pressed", String(matchMedia("(prefers-color-scheme: dark)").matches));
  at("regions").classList.add("outlined");
  listen();
  try {
    health = await (await fetch("health")).json();
    at("service").textContent = `checkpoint ${health.checkpoint}`;
  } catch {
    at("service").textContent = "The service does not answer.";
  }
}

begin();
