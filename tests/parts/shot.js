// Opens a page in Chromium once for each view, waits for a text on it, saves a picture, and prints what
// was seen as JSON, by view. node shot.js URL FOLDER TEXT; playwright-core is found through NODE_PATH.
const { chromium } = require('playwright-core');

const FLAGS = require('./chromium.js');
const DESK = { width: 1280, height: 900 };
const VIEWS = {
  light: { viewport: DESK, colorScheme: 'light' },
  dark: { viewport: DESK, colorScheme: 'dark' },
  phone: { viewport: { width: 375, height: 812 }, isMobile: true, hasTouch: true },
  scriptless: { viewport: DESK, javaScriptEnabled: false },
};

async function see(browser, options, url, picture, text) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = { errors: [], failures: [], requests: [] };
  page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('response', (answer) => answer.status() >= 400 && seen.failures.push(`${answer.status()} ${answer.url()}`));
  await page.goto(url, { waitUntil: 'load' });
  await page.getByText(text).first().waitFor({ timeout: 60_000 });
  const isFragment = (request) => 'x-taffrail-fragment' in request.headers();
  seen.refreshed = await page.waitForRequest(
    (request) => isFragment(request) || request.isNavigationRequest(),
    { timeout: 30_000 },
  ).then((request) => (isFragment(request) ? 'fragment' : 'page'));
  await page.getByText(text).first().waitFor({ timeout: 60_000 });
  await page.screenshot({ path: picture, fullPage: true });
  seen.title = await page.title();
  seen.shown = await page.innerText('body');
  seen.live = await page.locator('#live').innerText();
  seen.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  seen.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await context.close();
  return seen;
}

(async () => {
  const [url, folder, text] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const seen = {};
  for (const [name, options] of Object.entries(VIEWS)) {
    seen[name] = await see(browser, options, url, `${folder}/${name}.png`, text);
  }
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
