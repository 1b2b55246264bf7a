"""Style and script of a report's page. Nothing here comes from outside the program."""

STYLE = """
:root { --paper: #fff; --ink: #1c1f23; --soft: #5b636d; --edge: #d5d9de; --tint: #f4f6f8; --link: #0b5cad;
  --shade: #1c1f2340; --c0: #1f6fb2; --c1: #b4540a; --c2: #1b7f5a; --c3: #9a3fa0; --c4: #6b6f00; --c5: #b3264a;
  --c6: #4b5cc4; --c7: #6e5b4a }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e6e9ec; --soft: #a3acb6; --edge: #394049;
  --tint: #1e2329; --link: #7db9f0; --shade: #000;
  --c0: #6cb2ee; --c1: #f0a05a; --c2: #5fcf9f; --c3: #dc95e0; --c4: #cbcf55;
  --c5: #f58aa4; --c6: #a3afff; --c7: #d0b59a } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 3rem) 4rem; max-width: 100rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 .5rem } h2 { font-size: 1.35rem; margin: 2.5rem 0 .5rem }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem } h2 small { color: var(--soft); font-weight: normal }
h1, h2, h3, li, figcaption, .note { overflow-wrap: anywhere } p, ul.remarks { max-width: 50rem }
a { color: var(--link) } .skip { position: absolute; left: -99rem } .skip:focus { position: static }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; list-style: none; padding: 0 }
.note, .remarks { color: var(--soft); font-size: .9rem; margin-block: .4rem }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.table { overflow-x: auto; margin: 1rem 0 .3rem;
  /* A shadow at the right edge for as long as there is more to scroll to. */
  background: linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / 1.2rem 100% no-repeat scroll }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding: .2rem 0 .4rem } caption span { position: sticky; left: 0;
  display: inline-block; max-width: calc(100vw - 3rem) }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--edge); text-align: right; vertical-align: bottom;
  white-space: nowrap } thead th { font-size: .85rem; white-space: normal; min-width: 5.2em; color: var(--soft) }
th[scope=row], thead th:first-child { text-align: left; font-weight: 500 } tbody tr:hover { background: var(--tint) }
tbody th { position: sticky; left: 0; background: var(--paper) } tbody th + th { position: static }
.interval { color: var(--soft); font-size: .85em } details { margin: .6rem 0 } summary { cursor: pointer }
figure { margin: 0 } .plots, .players { display: grid; gap: 1.2rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); margin: 1rem 0 }
.plot figcaption { font-size: .85rem; font-weight: 600; margin-bottom: .2rem }
svg { width: 100%; height: auto; display: block } svg text { fill: var(--soft); font-size: 11px }
svg text.label { fill: var(--ink) } svg .axis { stroke: var(--edge) } svg .rule { stroke: var(--ink);
  stroke-dasharray: 4 3 } svg line, svg polyline { stroke-width: 1.5; fill: none } svg line.axis { stroke-width: 1 }
.s0 { stroke: var(--c0); color: var(--c0) } .s1 { stroke: var(--c1); color: var(--c1) }
.s2 { stroke: var(--c2); color: var(--c2) } .s3 { stroke: var(--c3); color: var(--c3) }
.s4 { stroke: var(--c4); color: var(--c4) } .s5 { stroke: var(--c5); color: var(--c5) }
.s6 { stroke: var(--c6); color: var(--c6) } .s7 { stroke: var(--c7); color: var(--c7) } svg .dot { stroke: none;
  fill: currentcolor }
.player { background: var(--tint); padding: .8rem; border-radius: 6px; font-size: .85rem }
.player .item { font-weight: 600; display: block } .stage { position: relative; margin: .6rem auto; overflow: hidden;
  background: #000; max-height: 26rem; max-width: 100% }
.stage video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: fill }
.stage .over { clip-path: inset(0 50% 0 0) }
.stage .line { position: absolute; top: 0; bottom: 0; left: 50%; width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 3px #000 }
.controls { display: flex; flex-wrap: wrap; gap: .4rem .8rem; align-items: center; margin-bottom: .8rem }
.controls label { display: flex; gap: .4rem; align-items: center }
.wipe { flex: 1 0 100% } .wipe input { flex: 1; min-width: 5rem }
.controls button, .controls select { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--soft); border-radius: 4px; padding: .15rem .6rem; min-height: 1.9rem; max-width: 12rem }
@media print { .controls { display: none } details { break-inside: avoid } }
"""

# Clips become blobs when their player comes into view. The result leads, what lies over it follows.
SCRIPT = """
'use strict';
const clips = JSON.parse(document.getElementById('clips').textContent), urls = new Map();
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
function address(number) {
  if (!urls.has(number)) {
    const text = atob(clips[number][0]), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    urls.set(number, URL.createObjectURL(new Blob([bytes], {type: 'video/mp4'})));
  }
  return urls.get(number);
}
function still_of(number) { return 'data:image/jpeg;base64,' + clips[number][1]; }
function fill(video, number) {
  video.poster = still_of(number);
  video.src = address(number);
}
for (const player of document.querySelectorAll('.player')) {
  const under = player.querySelector('.under'), over = player.querySelector('.over');
  const button = player.querySelector('button'), choice = player.querySelector('select');
  const slider = player.querySelector('input'), line = player.querySelector('.line');
  let wanted = !still, seen = false;
  under.poster = still_of(Number(player.dataset.result));
  over.poster = still_of(Number(choice.value));
  function follow() {
    if (under.paused) return;
    if (!over.seeking && Math.abs(over.currentTime - under.currentTime) > 0.04) over.currentTime = under.currentTime;
    requestAnimationFrame(follow);
  }
  function settle() {
    const on = wanted && seen;
    button.textContent = wanted ? 'Pause' : 'Play';
    button.setAttribute('aria-pressed', String(wanted));
    if (on) { under.play().then(follow, () => {}); over.play().catch(() => {}); }
    else { under.pause(); over.pause(); over.currentTime = under.currentTime; }
  }
  button.addEventListener('click', () => { wanted = !wanted; settle(); });
  choice.addEventListener('change', () => { fill(over, Number(choice.value)); settle(); });
  over.addEventListener('loadeddata', () => { over.currentTime = under.currentTime; });
  slider.addEventListener('input', () => {
    over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    line.style.left = slider.value + '%';
    slider.setAttribute('aria-valuetext', slider.value + '% of the width');
  });
  new IntersectionObserver(entries => {
    seen = entries[entries.length - 1].isIntersecting;
    if (seen && !under.src) { fill(under, Number(player.dataset.result)); fill(over, Number(choice.value)); }
    settle();
  }).observe(player);
}
"""
