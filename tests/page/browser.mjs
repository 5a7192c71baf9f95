// Looks at pages with a real browser: as they are shown on a phone and a screen, dark and light, and printed; and at what
// is said of them to a screen reader. Screenshots and PDFs stay beside the pages.
//
// usage: browser.mjs DIRECTORY [PAGE ...]

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';

const directory = path.resolve(process.argv[2]);
const require = createRequire(path.join(process.env.NODE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const all = fs.readdirSync(directory).filter((name) => name.endsWith('.html')).map((name) => name.slice(0, -5));
const pages = process.argv.length > 3 ? process.argv.slice(3) : all;

// As `tcpmon cgi` answers.
const asked = [];
const server = http.createServer((request, answer) => {
  asked.push(request.url);
  const file = path.join(directory, path.basename(request.url) + '.html');
  if (!fs.existsSync(file)) return answer.writeHead(404).end();
  const page = fs.readFileSync(file);
  // The style that the page itself names, and no other.
  const [style] = page.toString().match(/'sha256-[^']*'/);
  answer.writeHead(200, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': `default-src 'none'; style-src ${style}`,
    'X-Content-Type-Options': 'nosniff',
  });
  answer.end(page);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${server.address().port}`;

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(fs.existsSync);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

// Opens a page, and gives it with all that went wrong: nothing may.
async function open(name, width, options = {}) {
  const context = await browser.newContext({ viewport: { width, height: 2400 }, ...options });
  // The page of a thousand has 5 MB, and a machine may have more to do.
  context.setDefaultTimeout(600_000);
  const page = await context.newPage();
  const wrong = [];
  page.on('console', (message) => wrong.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => wrong.push(`error: ${error}`));
  page.on('request', (request) => request.url() === `${origin}/${name}` || wrong.push(`request: ${request.url()}`));
  await page.goto(`${origin}/${name}`);
  return { page, wrong, end: async () => { await context.close(); assert.deepEqual(wrong, [], name); } };
}

// What no page has, whatever the names in it.
function forbidden() {
  const found = [];
  for (const element of document.querySelectorAll('*')) {
    if (['SCRIPT', 'IMG', 'IFRAME', 'OBJECT', 'EMBED', 'LINK', 'FORM', 'BASE'].includes(element.tagName.toUpperCase())) {
      found.push(element.outerHTML.slice(0, 200));
    }
    for (const { name, value } of element.attributes) {
      const leads = ['href', 'src', 'xlink:href', 'action'].includes(name) && !value.startsWith('#');
      if (name.startsWith('on') || name === 'style' || leads) found.push(`${element.tagName} ${name}=${value}`);
    }
  }
  return found;
}

// The links that do not lead to the section with their name. A browser bears only so many moves in a row.
function strays() {
  const links = [...document.querySelectorAll('a')];
  return links.filter((link, at) => {
    let target = document.getElementById(link.getAttribute('href').slice(1));
    if (at < 60) {
      location.hash = link.getAttribute('href');
      target = document.querySelector(':target');
    }
    return target?.querySelector('h2')?.textContent !== link.textContent;
  }).map((link) => link.outerHTML);
}

// The nodes of the accessibility tree that a reader hears, as role, name and level.
async function heard(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  return nodes.filter((node) => !node.ignored).map((node) => ({
    role: node.role?.value, name: node.name?.value ?? '',
    level: node.properties?.find((property) => property.name === 'level')?.value.value,
  }));
}

function checkTree(name, nodes, sections) {
  const of = (role) => nodes.filter((node) => node.role === role);
  const headings = of('heading');
  assert.equal(headings[0]?.level, 1, `${name}: the first heading`);
  headings.reduce((before, { level }) => (assert.ok(level <= before + 1, `${name}: a level is left out`), level), 0);
  assert.ok(headings.every((heading) => heading.name), `${name}: a heading without a name`);
  assert.equal(of('main').length, 1, `${name}: main`);
  for (const role of ['image', 'table', 'columnheader', 'rowheader', 'link']) {
    for (const node of of(role)) assert.ok(node.name.trim(), `${name}: ${role} without a name`);
  }
  assert.ok(of('image').length >= sections && of('table').length >= Math.min(sections, 1), `${name}: images and tables`);
}

async function check(name) {
  const begin = Date.now();
  const backgrounds = {};
  let tree = 0;
  const looks = [[360, 'dark'], [1400, 'light'], [360, 'light'], [1400, 'dark']];
  // The page of a thousand is slow to draw.
  for (const [width, colorScheme] of name === '1000' ? looks.slice(0, 2) : looks) {
    const { page, end } = await open(name, width, { colorScheme });
    const [scroll, inner] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
    assert.ok(scroll <= inner, `${name}: ${scroll} of ${width} pixels`);
    backgrounds[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.screenshot({ path: path.join(directory, `${name}-${width}-${colorScheme}.png`) });
    if (width === 1400 && colorScheme === 'light') {
      assert.deepEqual(await page.evaluate(forbidden), [], name);
      assert.deepEqual(await page.evaluate(strays), [], `${name}: links`);
      const nodes = await heard(page);
      tree = nodes.length;
      checkTree(name, nodes, await page.locator('section').count());
    }
    if (name !== '1000' && (width === 360) === (colorScheme === 'dark')) {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run({
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'],
        // Browsers make what scrolls focusable by themselves, where it scrolls; a tab stop at every table would be worse.
        rules: { 'scrollable-region-focusable': { enabled: false } },
      }));
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join('\n    ')}`);
      assert.deepEqual(told, [], `${name} ${width} ${colorScheme}: axe`);
    }
    await end();
  }
  assert.notEqual(backgrounds.light, backgrounds.dark, name);
  if (name !== '1000') {
    const { page, end } = await open(name, 1400);
    const file = path.join(directory, `${name}.pdf`);
    await page.pdf({ path: file, preferCSSPageSize: true });
    const pdf = fs.readFileSync(file, 'latin1');
    assert.match(pdf, /\/MediaBox \[0 0 59[45][.\d]* 84[12][.\d]*\]/, `${name}: not A4`);
    await end();
  }
  console.log(`${name}: ${tree} nodes in its tree, ${((Date.now() - begin) / 1000).toFixed(1)} s`);
}
// The page of a thousand takes as long as all others.
const others = async () => { for (const name of pages) if (name !== '1000') await check(name); };
await Promise.all([others(), pages.includes('1000') && check('1000')]);
assert.deepEqual([...new Set(asked)].filter((url) => !pages.includes(url.slice(1))), [], 'something else was asked for');
await browser.close();
server.close();
