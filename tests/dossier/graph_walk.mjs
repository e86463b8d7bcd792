// Walks through an explored attribution graph as a reader does, with keys and pointer; ends with an error where a promise breaks.
import assert from 'node:assert/strict';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

const cache = process.env.HTML_CHECK_CACHE ?? path.join(os.homedir(), '.cache', 'html-check');
const { chromium } = createRequire(path.join(cache, 'package.json'))('playwright-core');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
for (const width of [1400, 390]) {
  const context = await browser.newContext({ offline: true, viewport: { width, height: 900 }, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  await page.goto('file://' + path.resolve(process.argv[2]));
  const title = await page.title();
  const figure = page.locator('figure.graph');
  const box = async () => (await figure.locator('.graph-view > svg').getAttribute('viewBox')).split(' ').map(Number);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('data-node'));
  const shown = async () => Number((await figure.locator('.graph-state').textContent()).match(/Shown: (\d+) of/)[1]);

  // One stop for the tab key, arrows from there.
  assert.equal(await figure.locator('.graph-node[tabindex="0"]').count(), 1);
  await figure.locator('input').focus();
  await page.keyboard.press('Tab');
  const first = await focused();
  assert.notEqual(first, null);
  await page.keyboard.press('ArrowDown');
  assert.notEqual(await focused(), first);
  assert.equal(await figure.locator('.graph-node[tabindex="0"]').count(), 1);

  // Enter selects and shows the card, with signed weights; walking to an input selects that.
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  const card = figure.locator('.graph-card');
  assert.ok(await card.isVisible());
  assert.equal(await figure.locator('.graph-node[aria-pressed="true"]').count(), 1);
  assert.match(await card.locator('.weight').first().textContent(), /^[+\u2212]\d/);
  assert.ok(await figure.locator('.graph-edge.near').count() > 0);
  const heading = await card.locator('h4').textContent();
  await card.locator('.graph-ends button').first().click();
  assert.ok(await card.isVisible());
  assert.ok(heading.length > 0 && await page.evaluate(() => document.activeElement.matches('.graph-card h4')));

  // Escape leaves the selection, then the drawing.
  await page.keyboard.press('Escape');
  assert.ok(!(await card.isVisible()));
  assert.notEqual(await focused(), null);
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.dataset.do), 'in');

  // Zoom by button, key and wheel; fit; drag.
  const [, , before] = await box();
  await page.keyboard.press('Enter');
  assert.ok((await box())[2] < before);
  await figure.locator('[data-do="fit"]').click();
  await figure.locator('.graph-node[tabindex="0"]').focus();
  const [, , fitted] = await box();
  await page.keyboard.press('+');
  assert.ok((await box())[2] < fitted);
  await page.keyboard.press('0');
  const view = await figure.locator('.graph-view').boundingBox();
  await page.mouse.move(view.x + view.width / 2, view.y + 60);
  const start = await box();
  await page.mouse.wheel(0, -120);
  await page.waitForTimeout(100);
  assert.ok((await box())[2] < start[2]);
  const held = await box();
  await page.mouse.down();
  await page.mouse.move(view.x + view.width / 2 - 50, view.y + 60, { steps: 4 });
  await page.mouse.up();
  assert.ok((await box())[0] > held[0]);

  // The threshold hides the weak, and says how many are left; all nodes are one button away.
  const all = await shown();
  await figure.locator('input').fill('50');
  assert.ok(await shown() < all);
  await figure.locator('input').fill('100');
  const whole = figure.locator('[data-do="whole"]');
  if (await whole.getAttribute('aria-pressed') === 'false') await whole.click();
  const state = await figure.locator('.graph-state').textContent();
  const [, some, every] = state.match(/Shown: (\d+) of (\d+) nodes/);
  assert.equal(some, every);

  // Nothing that a label says has been obeyed.
  assert.equal(await page.title(), title);
  assert.deepEqual(errors, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1));
  await context.close();
}
await browser.close();
console.log('walked');
