/**
 * Several tabs of a browser, with their actions and external events in any order.
 *
 * Each run is one order. If it breaks a rule, fast-check searches for a shorter order and prints it
 * with its seed.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CLAIM_MS } from '../src/session/tabLock.js';
import { REDEEM_MS } from '../src/session/persistence.js';
import { describe, test } from './limited.js';
import { World } from './tabs/world.js';

// `make test` runs the same orders each time; more of them, and others, are for `make fuzz`.
const RUNS = process.env.CERTLESS_TABS_RUNS;
const TABS = 3;

/** The external events; none for a closed tab. */
const HAPPENS = {
  'sessions lost': (world) => world.gateway.forget(false),
  'all lost': (world) => world.gateway.forget(true),
  request: (world, tab) => tab.fetch(),
  'log in': (world, tab) => void tab.logIn(),
  'log out': (world, tab) => (world.hasLoggedOut = true) && tab.logOut(),
  hide: (world, tab) => tab.see(false),
  show: (world, tab) => tab.see(true),
  close: (world, tab) => world.open.length > 1 && tab.close(),
  open: (world) => world.openTab(),
  'next answer lost': (world, tab) => tab.faults.network.push('unheard'),
  'next request lost': (world, tab) => tab.faults.network.push('unsent'),
  'next answer forged': (world, tab) => tab.faults.network.push('forged'),
  'disk fails once': (world, tab) => void (tab.faults.store += 1),
  'time passes': (world) => world.steps.pass(91_000),
  'half a day passes': (world) => world.halfADay(),
};

/** @param {string[]} [without] */
const scenarios = (without = []) =>
  fc.record({
    hasTickets: fc.boolean(),
    events: fc.array(
      fc.tuple(fc.constantFrom(...Object.keys(HAPPENS).filter((name) => !without.includes(name))), fc.nat(TABS - 1)),
      { minLength: 1, maxLength: 14 },
    ),
    choices: fc.array(fc.nat(12), { maxLength: 150, size: 'max' }),
  });

/** Tabs of a logged-in user. */
async function tabsOf(count, { choices, hasTickets }) {
  const world = new World();
  world.gateway.grantsTickets = hasTickets;
  for (let i = 0; i < count; i += 1) world.openTab();
  await world.steps.run();
  void world.tabs[0].logIn();
  await world.steps.run();
  assert.deepEqual(world.tabs.map(({ page }) => page.state), Array(count).fill('ready'));
  world.steps.choose(choices);
  return world;
}

/** The events that can follow a logout. */
const AFTER = fc.array(fc.tuple(fc.constantFrom('close', 'open', 'hide', 'show', 'time passes', 'request'), fc.nat(TABS - 1)), { maxLength: 4 });

async function play(world, events) {
  const script = events.map(([name, number]) => () => {
    const tab = world.tabs[number % world.tabs.length];
    if (tab.isClosed) return;
    world.steps.log.push(`--- ${name} (${tab.name})`);
    HAPPENS[name](world, tab);
  });
  await world.steps.run(script);
}

/** The rules for the final state. */
function check(world) {
  const report = () => world.steps.log.join('\n');
  assert.deepEqual(world.gateway.faults, [], report());
  // A forged refusal makes a tab forget the session, for all tabs.
  const isHarmed = world.steps.log.some((line) => line === 'the disk fails' || line.endsWith('(forged)'));
  if (world.isAlive && !isHarmed) {
    assert.ok(world.isKeptAlive, `a tab has a session, and nothing is kept\n${report()}`);
  }
  for (const tab of world.open) {
    const { page } = tab;
    const isAsking = page.isAwaited;
    if (world.isKeptAlive && !page.session) {
      assert.fail(`${tab.name} is ${page.state}, and there is a session that it could take\n${report()}`);
    }
    if (isAsking) assert.ok(tab.isShown, `${tab.name} waits, and shows no login\n${report()}`);
    const isWaiting = tab.requests.some(({ isSettled }) => !isSettled);
    if (isWaiting) assert.ok(isAsking, `${tab.name} has a request that nobody answers\n${report()}`);
    assert.equal(page.login.busy, null, report());
  }
}

/** After a lost session and no logout, a request waits only for a login. */
function checkAnswers(world) {
  if (world.hasLoggedOut || world.gateway.losses > 1) return;
  const codes = world.open.flatMap(({ requests }) => requests.map(({ code }) => code));
  assert.ok(!codes.includes('not_logged_in'), world.steps.log.join('\n'));
}

/** Somebody looks at each tab; one in which a login is open is logged in to. */
async function finish(world) {
  for (const tab of world.open) {
    tab.faults = { network: [], store: 0 };
    tab.see(true);
  }
  await world.steps.run();
  check(world);
  // Each knows by now whether its session lives.
  for (const tab of world.open) tab.fetch();
  await world.steps.run();
  check(world);
  const without = world.open.find(({ page }) => !page.session);
  void without?.logIn();
  await world.steps.run();
  check(world);
  for (const tab of world.open) {
    assert.equal(tab.page.state, 'ready', `${tab.name}\n${world.steps.log.join('\n')}`);
    assert.ok(tab.requests.every(({ isSettled }) => isSettled), world.steps.log.join('\n'));
  }
  checkAnswers(world);
}

const holds = (property) =>
  fc.assert(property, { ...(RUNS ? { numRuns: Number(RUNS) } : { numRuns: 200, seed: 9 }), includeErrorInReport: true });

describe('tabs', () => {
  test('a claim lasts longer than the two messages of a redemption', () => assert.ok(2 * REDEEM_MS < CLAIM_MS));

  test('in any order: one login is enough, one mail, one redemption at a time, and nothing waits for ever', () =>
    holds(
      fc.asyncProperty(scenarios(), async (scenario) => {
        const world = await tabsOf(TABS, scenario);
        await play(world, scenario.events);
        await finish(world);
      }),
    ));

  test('after a logout nobody is logged in, and nothing is stored', () =>
    holds(
      fc.asyncProperty(scenarios(['log in', 'log out', 'disk fails once']), AFTER, fc.nat(TABS - 1), async (scenario, after, number) => {
        const world = await tabsOf(TABS, scenario);
        const others = after.filter(([name, other]) => name !== 'close' || other !== number);
        await play(world, [...scenario.events, ['log out', number], ...others]);
        if (!world.hasLoggedOut) return;
        const report = world.steps.log.join('\n');
        assert.equal(world.kept, null, report);
        for (const { page, name } of world.open) assert.equal(page.session, null, `${name}\n${report}`);
      }),
    ));
});
