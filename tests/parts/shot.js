// Opens a page in Chromium, waits for a text on it, saves a picture, and prints what was seen as JSON.
// node shot.js URL PICTURE TEXT; playwright-core is found through NODE_PATH.
const { chromium } = require('playwright-core');

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

(async () => {
  const [url, picture, text] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const errors = [];
  const requests = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url, { waitUntil: 'load' });
  await page.getByText(text).first().waitFor({ timeout: 60_000 });
  await page.screenshot({ path: picture, fullPage: true });
  const shown = await page.innerText('body');
  console.log(JSON.stringify({ title: await page.title(), errors, requests, shown }));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
