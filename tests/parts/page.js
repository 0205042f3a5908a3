// Opens every page of the admin address in Chromium as different readers do, checks what each must have,
// and prints what was seen as JSON, by view and page.
//
//   node page.js URL FOLDER TOKEN PAGES    PAGES: {"name": "path", …} as JSON
//
// playwright-core and axe-core are found through NODE_PATH.
const { chromium } = require('playwright-core');
const fs = require('fs');

const FLAGS = require('./chromium.js');
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 375, height: 812 };
const VIEWS = {
  light: { viewport: DESK, colorScheme: 'light' },
  dark: { viewport: DESK, colorScheme: 'dark' },
  phone: { viewport: PHONE, colorScheme: 'light', isMobile: true, hasTouch: true },
  'phone-dark': { viewport: PHONE, colorScheme: 'dark', isMobile: true, hasTouch: true },
  scriptless: { viewport: DESK, javaScriptEnabled: false },
  'scriptless-phone': { viewport: PHONE, javaScriptEnabled: false },
};
const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

function watch(page, seen) {
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url()));
}

async function signIn(page, url, token) {
  await page.goto(`${url}/exchanges`, { waitUntil: 'load' });
  await page.fill('#token', token);
  await Promise.all([page.waitForNavigation(), page.click('form.login button')]);
}

// Marks answer a pointer and the arrow keys with the same words.
async function tips(page) {
  const chart = page.locator('svg[role=img][tabindex]').first();
  if (!(await chart.count())) return null;
  await chart.scrollIntoViewIfNeeded();
  await chart.focus();
  await page.keyboard.press('End');
  const byKey = await page.locator('#tip').innerText();
  await page.keyboard.press('ArrowLeft');
  const next = await page.locator('#tip').innerText();
  const spoken = await page.locator('#spoken').textContent();
  await page.keyboard.press('Escape');
  const hidden = await page.locator('#tip').isHidden();
  const box = await page.locator('svg[role=img][tabindex] [data-tip]').last().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  const byPointer = await page.locator('#tip').innerText();
  await page.mouse.move(0, 0);
  return { byKey, next, spoken, hidden, byPointer };
}

// `@newest` is the newest exchange, which is reached by its link.
async function open(page, url, path) {
  if (path !== '@newest') return page.goto(url + path, { waitUntil: 'load' });
  await page.goto(`${url}/exchanges?limit=1`, { waitUntil: 'load' });
  await Promise.all([page.waitForNavigation(), page.locator('table.exchanges a.id').first().click()]);
}

async function see(page, url, path, picture, seen, hasScript) {
  await open(page, url, path);
  await page.screenshot({ path: picture, fullPage: true });
  seen.title = await page.title();
  seen.text = await page.innerText('main');
  seen.headings = await page.locator('h1').count();
  seen.current = await page.locator('.bar nav [aria-current=page]').allInnerTexts();
  seen.titles = await page.locator('svg title').count();
  if (!hasScript) return;
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  seen.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  seen.tips = await tips(page);
  await page.keyboard.press('Tab');
}

// The policy of the page forbids code that is not its own: axe runs where it is switched off.
async function audit(browser, options, url, token, pages) {
  const found = {};
  const context = await browser.newContext({ ...options, bypassCSP: true });
  const page = await context.newPage();
  if (token) await signIn(page, url, token);
  for (const [name, path] of Object.entries(pages)) {
    await open(page, url, path);
    await page.evaluate(AXE);
    const result = await page.evaluate(() => window.axe.run(document));
    const passed = result.passes.length;
    const violations = result.violations.map((one) => ({
      id: one.id,
      impact: one.impact,
      nodes: one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`),
    }));
    found[name] = { passed, violations };
  }
  await context.close();
  return found;
}

// Two faults on purpose: an audit that finds nothing in them would find nothing anywhere.
async function planted(browser) {
  const page = await browser.newPage();
  await page.setContent('<html lang="en"><title>x</title><main><img src="data:,"><button></button></main></html>');
  await page.evaluate(AXE);
  const result = await page.evaluate(() => window.axe.run(document));
  await page.close();
  return result.violations.map((one) => one.id);
}

// What the script must keep and say: a details left open, the focus, the sidecar's absence.
async function live(browser, url) {
  const context = await browser.newContext(VIEWS.light);
  const page = await context.newPage();
  await page.goto(`${url}/`, { waitUntil: 'load' });
  const isFragment = (request) => 'x-taffrail-fragment' in request.headers();
  await page.locator('#slots summary').click();
  await page.locator('.more').first().focus();
  const first = await page.locator('#traffic').elementHandle();
  await page.waitForRequest(isFragment);
  await page.waitForFunction((old) => !old.isConnected, first, { timeout: 20_000 });
  const kept = await page.evaluate(() => ({
    open: document.getElementById('slots').open,
    focus: document.activeElement.className,
  }));
  const said = { live: await page.locator('#live').innerText() };
  await page.click('#pause');
  said.paused = await page.locator('#live').innerText();
  let whilePaused = 0;
  page.on('request', (request) => { whilePaused += isFragment(request) ? 1 : 0; });
  await page.waitForTimeout(5000);
  const requestsWhilePaused = whilePaused;
  await context.setOffline(true);
  await page.click('#pause');
  await page.waitForFunction(() => document.getElementById('live').dataset.state === 'lost', null, { timeout: 20_000 });
  said.lost = await page.locator('#live').innerText();
  await context.setOffline(false);
  await page.waitForFunction(() => document.getElementById('live').dataset.state === 'live', null, { timeout: 20_000 });
  await context.close();
  return { kept, said, requestsWhilePaused };
}

(async () => {
  const [url, folder, token, list] = process.argv.slice(2);
  const pages = JSON.parse(list);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const seen = { views: {}, axe: {} };
  for (const [view, options] of Object.entries(VIEWS)) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const everything = { errors: [], requests: [] };
    watch(page, everything);
    if (token) await signIn(page, url, token);
    seen.views[view] = { ...everything, pages: {} };
    for (const [name, path] of Object.entries(pages)) {
      const one = (seen.views[view].pages[name] = {});
      await see(page, url, path, `${folder}/${name}-${view}.png`, one, options.javaScriptEnabled !== false);
    }
    await context.close();
  }
  for (const view of ['light', 'dark', 'phone']) {
    seen.axe[view] = await audit(browser, VIEWS[view], url, token, pages);
  }
  seen.planted = await planted(browser);
  seen.live = await live(browser, url);
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
