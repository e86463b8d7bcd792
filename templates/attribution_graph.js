// Lets a reader explore the attribution graphs of a page: it shows and hides what the drawing holds, and fetches nothing.
// All text is set as text, never as markup. Without this script, the drawing and its table stand as they are.
'use strict';
(() => {
  const SVG = 'http://www.w3.org/2000/svg';
  const MINUS = '\u2212';
  const LISTED = 200;

  for (const figure of document.querySelectorAll('figure.graph')) explore(figure);

  function explore(figure) {
    const find = (name) => figure.querySelector(name);
    const [view, raw, tools, keys, state, card] =
      ['.graph-view', '.graph-data', '.graph-tools', '.graph-keys', '.graph-state', '.graph-card'].map(find);
    const slider = tools && tools.querySelector('input');
    const small = view && view.querySelector('svg');
    if (!view || !raw || !slider || !state || !card || !small) return;
    let graph;
    try { graph = JSON.parse(raw.textContent); } catch { return; }

    const inputs = graph.nodes.map(() => []), outputs = graph.nodes.map(() => []);
    graph.edges.forEach(([source, target], edge) => { outputs[source].push(edge); inputs[target].push(edge); });
    for (const ends of [...inputs, ...outputs]) ends.sort((a, b) => Math.abs(graph.edges[b][2]) - Math.abs(graph.edges[a][2]));
    const share = graph.nodes.map((node) => (node.kind === 'target' ? 0 : Math.abs(node.influence)));
    const nodeRank = cumulated(share), edgeRank = cumulated(graph.scores);
    const template = find('template.graph-whole');
    const large = template ? template.content.querySelector('svg') : null;

    let svg, nodes, edges, groups, size, ratio, box;
    let chosen = -1, current = -1, dragged = false, grip = null;

    function mount(drawing) {
      if (svg && svg !== drawing) view.replaceChild(drawing, svg);
      svg = drawing;
      size = { w: Number(svg.getAttribute('width')), h: Number(svg.getAttribute('height')) };
      ratio = Math.min(1.45, Math.max(0.6, size.h / size.w));
      svg.setAttribute('role', 'group');
      const title = svg.querySelector(':scope > title');
      if (title) title.remove();
      nodes = numbered('node');
      edges = numbered('edge');
      groups = [...svg.querySelectorAll('[data-members]')].map((g) => [g, g.dataset.members.split(' ').map(Number)]);
      for (const [index, element] of nodes) {
        element.setAttribute('role', 'button');
        const written = [...element.querySelectorAll('text')].map((text) => text.textContent).join(' ');
        element.setAttribute('aria-label', spoken(index, written));
      }
      const across = view.clientWidth || size.w;
      if (across < size.w) {
        box = { x: (size.w - across) / 2, y: 0, w: across };
        place();
      } else fit();
      update();
    }

    function numbered(name) {
      return new Map([...svg.querySelectorAll(`[data-${name}]`)].map((g) => [Number(g.dataset[name]), g]));
    }

    // What is shown

    function update() {
      const limit = slider.value / 100;
      const shows = (rank, index) => limit >= 1 || rank[index] < limit;
      const seen = new Set([...nodes.keys()].filter((index) => graph.nodes[index].kind === 'target' || shows(nodeRank, index)));
      const drawn = new Set([...edges.keys()].filter((edge) => ends(edge).every((end) => seen.has(end)) && shows(edgeRank, edge)));
      if (chosen >= 0) for (const edge of [...inputs[chosen], ...outputs[chosen]]) if (ends(edge).every((end) => seen.has(end))) drawn.add(edge);
      svg.querySelectorAll('.graph-extra').forEach((element) => element.remove());
      for (const [index, element] of nodes) element.classList.toggle('off', !seen.has(index));
      for (const [edge, element] of edges) element.classList.toggle('off', !drawn.has(edge));
      for (const [element, members] of groups) element.classList.toggle('off', !members.some((index) => seen.has(index)));
      mark(seen, drawn);
      if (!seen.has(current)) current = seen.has(chosen) ? chosen : best(seen);
      for (const [index, element] of nodes) element.setAttribute('tabindex', index === current ? '0' : '-1');
      say(seen, drawn);
    }

    function mark(seen, drawn) {
      const near = new Set([chosen]);
      for (const edge of drawn) if (ends(edge).includes(chosen)) ends(edge).forEach((end) => near.add(end));
      view.classList.toggle('chosen', seen.has(chosen));
      for (const [index, element] of nodes) {
        element.classList.toggle('near', near.has(index));
        element.setAttribute('aria-pressed', String(index === chosen));
      }
      for (const [edge, element] of edges) element.classList.toggle('near', ends(edge).includes(chosen));
      for (const edge of drawn) if (!edges.has(edge)) extra(edge);
    }

    // An edge of the selected node that the drawing has no room for.
    function extra(edge) {
      const [source, target, weight] = graph.edges[edge];
      const a = nodes.get(source).getBBox(), b = nodes.get(target).getBBox();
      const from = [a.x + a.width / 2, a.y], to = [b.x + b.width / 2, b.y + b.height], middle = (from[1] + to[1]) / 2;
      const g = document.createElementNS(SVG, 'g'), path = document.createElementNS(SVG, 'path');
      g.setAttribute('class', 'graph-edge graph-extra near');
      path.setAttribute('d', `M${from}C${from[0]} ${middle} ${to[0]} ${middle} ${to}`);
      path.setAttribute('fill', 'none');
      path.setAttribute('stroke-width', '1.2');
      path.setAttribute('stroke', weight < 0 ? '#c2410c' : '#0b5394');
      if (weight < 0) path.setAttribute('stroke-dasharray', '4 2.5');
      const end = document.createElementNS(SVG, 'path');
      const [x, y] = to;
      end.setAttribute('d', weight < 0 ? `M${x - 4} ${y + 1.6}H${x + 4}` : `M${x - 2.6} ${y + 6}L${x} ${y}L${x + 2.6} ${y + 6}`);
      end.setAttribute('fill', weight < 0 ? 'none' : '#0b5394');
      if (weight < 0) { end.setAttribute('stroke', '#c2410c'); end.setAttribute('stroke-width', '1.8'); }
      g.append(path, end);
      svg.insertBefore(g, svg.querySelector('.graph-node'));
    }

    function say(seen, drawn) {
      const all = share.reduce((sum, each) => sum + each, 0);
      const part = [...seen].reduce((sum, index) => sum + share[index], 0);
      const influence = all ? `, with ${percent(seen.size === graph.nodes.length ? 1 : part / all)} of the influence of all nodes here` : '';
      put(state, `Shown: ${seen.size} of ${graph.nodes.length} nodes${influence}; ${drawn.size} of ${graph.edges.length} edges.`);
      slider.setAttribute('aria-valuetext', `${slider.value} %: ${seen.size} of ${graph.nodes.length} nodes`);
    }

    function best(seen) {
      return [...seen].sort((a, b) => (graph.nodes[a].kind === 'target' ? 0 : 1) - (graph.nodes[b].kind === 'target' ? 0 : 1) || share[b] - share[a])[0] ?? -1;
    }

    const ends = (edge) => graph.edges[edge].slice(0, 2);

    // One node

    function select(index, into) {
      if (index >= 0 && !nodes.has(index) && large && svg !== large) whole(true);
      if (index >= 0 && nodes.has(index)) {
        if (nodeRank[index] >= slider.value / 100) slider.value = 100;
        current = index;
      }
      chosen = index;
      update();
      describe();
      if (index < 0) return;
      reveal(index);
      if (into) card.querySelector('h4').focus();
      else if (nodes.has(index)) focus(index);
    }

    function describe() {
      card.replaceChildren();
      card.hidden = chosen < 0;
      if (chosen < 0) return;
      const node = graph.nodes[chosen];
      const heading = add(card, 'h4', node.label);
      heading.tabIndex = -1;
      add(card, 'p', facts(node).join(' · '));
      if (node.card && node.card.startsWith('#')) {
        if (document.getElementById(node.card.slice(1))) {
          const link = add(add(card, 'p', ''), 'a', 'Its card');
          link.setAttribute('href', node.card);
        }
      } else if (node.card) add(card, 'p', node.card);
      const lists = add(card, 'div', '');
      lists.className = 'graph-ends';
      list(lists, 'Inputs', inputs[chosen], 0);
      list(lists, 'Outputs', outputs[chosen], 1);
      const close = add(add(card, 'p', ''), 'button', 'Close');
      close.type = 'button';
      close.addEventListener('click', () => leave());
    }

    function list(parent, name, found, end) {
      const part = add(parent, 'div', '');
      add(part, 'h5', `${name}: ${found.length}${graph.unit && found.length ? `, in ${graph.unit}` : ''}`);
      if (!found.length) return;
      const items = add(part, 'ul', '');
      for (const edge of found.slice(0, LISTED)) {
        const other = graph.edges[edge][end];
        const button = add(add(items, 'li', ''), 'button', '');
        button.type = 'button';
        add(button, 'span', signed(graph.edges[edge][2])).className = 'weight';
        add(button, 'span', `${graph.nodes[other].label}, ${where(graph.nodes[other])}`);
        button.addEventListener('click', () => select(other, true));
      }
      if (found.length > LISTED) add(part, 'p', `and ${found.length - LISTED} weaker ones`);
    }

    function facts(node) {
      const told = [node.kind, where(node), ...(node.kind === 'target' ? [] : [`influence ${percent(Math.abs(node.influence))}`])];
      if (node.activation !== null) told.push(`activation ${node.activation}`);
      if (node.group) told.push(`supernode ${node.group}`);
      return told;
    }

    function where(node) {
      const layer = node.kind === 'token' || node.kind === 'target' ? [] : [`layer ${node.layer}`];
      const place = graph.columns === 'position' ? `position ${node.position} (${graph.positions[node.position]})` : graph.positions[node.position];
      return [...layer, place].join(', ');
    }

    // Begins as the drawing has it, for those who say what they see; then the whole label where the drawing cuts it.
    function spoken(index, written) {
      const node = graph.nodes[index];
      const label = written === node.label ? written : `${written}: ${node.label}`;
      return `${label}: ${facts(node).join(', ')}; ${inputs[index].length} inputs, ${outputs[index].length} outputs`;
    }

    function leave() {
      const back = chosen;
      if (chosen >= 0) {
        select(-1);
        if (nodes.has(back)) focus(back);
      } else tools.querySelector('button').focus();
    }

    // Pan and zoom: the part of the drawing that is seen

    function place() {
      box.w = Math.min(Math.max(box.w, 90), 1.3 * Math.max(size.w, size.h / ratio));
      box.h = box.w * ratio;
      box.x = within(box.x, -0.15 * box.w, size.w - 0.85 * box.w);
      box.y = within(box.y, -0.15 * box.h, size.h - 0.85 * box.h);
      svg.setAttribute('viewBox', [box.x, box.y, box.w, box.h].map((each) => each.toFixed(2)).join(' '));
    }

    function fit() {
      const w = Math.max(size.w, size.h / ratio);
      box = { x: (size.w - w) / 2, y: 0, w };
      place();
    }

    function zoom(factor, at) {
      const [x, y] = at || [box.x + box.w / 2, box.y + box.h / 2], before = box.w;
      box.w = Math.min(Math.max(box.w * factor, 90), 1.3 * Math.max(size.w, size.h / ratio));
      box.x = x - (x - box.x) * box.w / before;
      box.y = y - (y - box.y) * box.w / before;
      place();
    }

    function move(right, down) {
      box.x += right;
      box.y += down;
      place();
    }

    function reveal(index) {
      const element = nodes.get(index);
      if (!element || element.classList.contains('off')) return;
      const at = element.getBBox(), across = view.clientWidth || size.w;
      if (across / box.w < 0.55) zoom(across / box.w);
      const out = at.x < box.x || at.y < box.y || at.x + at.width > box.x + box.w || at.y + at.height > box.y + box.h;
      if (out) move(at.x + at.width / 2 - box.x - box.w / 2, at.y + at.height / 2 - box.y - box.h / 2);
    }

    function pointed(event) {
      const seen = svg.getBoundingClientRect();
      return [box.x + (event.clientX - seen.left) / seen.width * box.w, box.y + (event.clientY - seen.top) / seen.height * box.h];
    }

    function whole(on) {
      if (!large) return;
      mount(on ? large : small);
      tools.querySelector('[data-do="whole"]').setAttribute('aria-pressed', String(on));
    }

    // Keys, pointer and tools

    function step(right, down) {
      const centre = (index) => { const at = nodes.get(index).getBBox(); return [at.x + at.width / 2, at.y + at.height / 2]; };
      const [x, y] = centre(current);
      let found = -1, least = Infinity;
      for (const [index, element] of nodes) {
        if (index === current || element.classList.contains('off')) continue;
        const [a, b] = centre(index), along = (a - x) * right + (b - y) * down, aside = Math.abs((a - x) * down) + Math.abs((b - y) * right);
        if (along > 1 && along + 2 * aside < least) [found, least] = [index, along + 2 * aside];
      }
      go(found);
    }

    function go(index) {
      if (index < 0) return;
      nodes.get(current)?.setAttribute('tabindex', '-1');
      current = index;
      nodes.get(index).setAttribute('tabindex', '0');
      focus(index);
    }

    // Into view in the drawing, then the drawing in the window.
    function focus(index) {
      reveal(index);
      nodes.get(index).focus({ preventScroll: true });
      nodes.get(index).scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }

    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    view.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const shown = [...nodes.keys()].filter((index) => !nodes.get(index).classList.contains('off'));
      const arrow = arrows[event.key];
      if (arrow && event.shiftKey) move(arrow[0] * box.w / 8, arrow[1] * box.h / 8);
      else if (arrow) step(...arrow);
      else if (event.key === 'Enter' || event.key === ' ') select(chosen === current ? -1 : current);
      else if (event.key === 'Escape') leave();
      else if (event.key === 'Home') go(best(new Set(shown)));
      else if (event.key === 'End') go(shown[shown.length - 1] ?? -1);
      else if (event.key === '+' || event.key === '=') zoom(0.8);
      else if (event.key === '-') zoom(1.25);
      else if (event.key === '0') fit();
      else return;
      event.preventDefault();
    });
    card.addEventListener('keydown', (event) => { if (event.key === 'Escape') { event.preventDefault(); leave(); } });

    view.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey && !view.contains(document.activeElement)) return;
      event.preventDefault();
      zoom(Math.exp(Math.min(60, Math.max(-60, event.deltaY)) / 250), pointed(event));
    }, { passive: false });
    view.addEventListener('pointerdown', (event) => {
      dragged = false;
      if (event.button === 0) grip = { x: event.clientX, y: event.clientY, id: event.pointerId };
    });
    view.addEventListener('pointermove', (event) => {
      if (!grip || grip.id !== event.pointerId) return;
      const right = event.clientX - grip.x, down = event.clientY - grip.y;
      if (!dragged && Math.hypot(right, down) < 4) return;
      if (!dragged) view.setPointerCapture(event.pointerId);
      dragged = true;
      view.classList.add('held');
      const scale = box.w / svg.getBoundingClientRect().width;
      move(-right * scale, -down * scale);
      grip.x = event.clientX;
      grip.y = event.clientY;
    });
    for (const name of ['pointerup', 'pointercancel']) view.addEventListener(name, () => { grip = null; view.classList.remove('held'); });
    view.addEventListener('click', (event) => {
      const element = event.target.closest('[data-node]');
      if (dragged || !element) return;
      const index = Number(element.dataset.node);
      current = index;
      select(index === chosen ? -1 : index);
    });
    tools.addEventListener('click', (event) => {
      const button = event.target.closest('[data-do]');
      if (!button) return;
      if (button.dataset.do === 'in') zoom(0.8);
      else if (button.dataset.do === 'out') zoom(1.25);
      else if (button.dataset.do === 'fit') fit();
      else if (button.dataset.do === 'whole') whole(svg !== large);
    });
    slider.addEventListener('input', update);
    window.addEventListener('beforeprint', fit);

    view.classList.add('live');
    view.removeAttribute('tabindex');
    for (const element of [tools, keys, state]) if (element) element.hidden = false;
    mount(small);
  }

  // Of each, the share of the total that stands before it when all are ranked from the largest on.
  function cumulated(values) {
    const total = values.reduce((sum, each) => sum + each, 0) || 1;
    const before = new Array(values.length).fill(0);
    let sum = 0;
    for (const index of values.map((_, index) => index).sort((a, b) => values[b] - values[a] || a - b)) {
      before[index] = sum / total;
      sum += values[index];
    }
    return before;
  }

  function within(value, one, other) {
    return Math.min(Math.max(value, Math.min(one, other)), Math.max(one, other));
  }

  function add(parent, name, text) {
    const element = document.createElement(name);
    put(element, text);
    parent.append(element);
    return element;
  }

  function put(element, text) { element.textContent = text; }

  function percent(value) {
    if (value < 1 && value >= 0.995) return '> 99 %';
    return value > 0 && value < 0.001 ? '< 0.1 %' : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
  }

  function signed(value) {
    const size = Math.abs(value);
    return (value < 0 ? MINUS : '+') + (size && (size < 1e-4 || size >= 1e4) ? size.toExponential(1) : String(Number(size.toPrecision(3))));
  }
})();
