/**
 * Several tabs of one browser, in any order of what they do and of what happens to them.
 *
 * Each run is one order. Where it breaks a rule, fast-check looks for a shorter one and prints it
 * with its seed.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, test } from './limited.js';
import { World } from './tabs/world.js';

// `make test` runs the same orders each time; more of them, and others, are for `make fuzz`.
const RUNS = process.env.CERTLESS_TABS_RUNS;
const TABS = 3;

/** What can happen; of a tab that is closed nothing. */
const HAPPENS = {
  'sessions lost': (world) => world.gateway.forget(false),
  'all lost': (world) => world.gateway.forget(true),
  request: (world, tab) => tab.fetch(),
  'log in': (world, tab) => void tab.logIn(),
  'log out': (world, tab) => tab.logOut(),
  hide: (world, tab) => tab.see(false),
  show: (world, tab) => tab.see(true),
  close: (world, tab) => world.open.length > 1 && tab.close(),
  open: (world) => world.openTab(),
  'next answer lost': (world, tab) => tab.faults.network.push('unheard'),
  'next request lost': (world, tab) => tab.faults.network.push('unsent'),
  'next answer forged': (world, tab) => tab.faults.network.push('forged'),
  'disk fails once': (world, tab) => void (tab.faults.store += 1),
  'time passes': (world) => world.steps.pass(91_000),
};

/** @param {string[]} [without] */
const scenarios = (without = []) =>
  fc.record({
    events: fc.array(
      fc.tuple(fc.constantFrom(...Object.keys(HAPPENS).filter((name) => !without.includes(name))), fc.nat(TABS - 1)),
      { minLength: 1, maxLength: 14 },
    ),
    choices: fc.array(fc.nat(12), { maxLength: 150, size: 'max' }),
  });

/** Tabs of somebody who is logged in. */
async function tabsOf(count, choices) {
  const world = new World();
  for (let i = 0; i < count; i += 1) world.openTab();
  await world.steps.run();
  void world.tabs[0].logIn();
  await world.steps.run();
  assert.deepEqual(world.tabs.map(({ page }) => page.state), Array(count).fill('ready'));
  world.steps.choose(choices);
  return world;
}

async function play(world, events) {
  const script = events.map(([name, number]) => () => {
    const tab = world.tabs[number % world.tabs.length];
    if (tab.isClosed) return;
    world.steps.log.push(`--- ${name} (${tab.name})`);
    HAPPENS[name](world, tab);
  });
  await world.steps.run(script);
}

/** What holds once nothing is under way. */
function check(world, isFollowed = true) {
  const report = () => world.steps.log.join('\n');
  assert.deepEqual(world.gateway.faults, [], report());
  for (const tab of world.open) {
    const { page } = tab;
    const isAsking = page.isAwaited;
    if (isFollowed && world.isKeptAlive && !page.session) {
      assert.fail(`${tab.name} is ${page.state}, and there is a session that it could take\n${report()}`);
    }
    if (isAsking) assert.ok(tab.isShown, `${tab.name} waits, and shows no login\n${report()}`);
    const isWaiting = tab.requests.some(({ isSettled }) => !isSettled);
    if (isWaiting) assert.ok(isAsking, `${tab.name} has a request that nobody answers\n${report()}`);
    assert.equal(page.login.busy, null, report());
  }
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
}

const holds = (property) =>
  fc.assert(property, { ...(RUNS ? { numRuns: Number(RUNS) } : { numRuns: 200, seed: 9 }), includeErrorInReport: true });

describe('tabs', () => {
  test('whatever happens: one login is enough, one mail, one redemption at a time; nothing waits for ever', () =>
    holds(
      fc.asyncProperty(scenarios(), async ({ events, choices }) => {
        const world = await tabsOf(TABS, choices);
        await play(world, events);
        await finish(world);
      }),
    ));

  test('after a logout nobody is logged in, and nothing is kept', () =>
    holds(
      fc.asyncProperty(scenarios(['log in', 'disk fails once']), fc.nat(TABS - 1), async ({ events, choices }, number) => {
        const world = await tabsOf(TABS, choices);
        const others = events.filter(([name]) => name !== 'log out');
        await play(world, [...others, ['log out', number]]);
        const tab = world.tabs[number];
        if (tab.isClosed) return;
        const report = world.steps.log.join('\n');
        assert.equal(world.kept, null, report);
        for (const { page, name } of world.open) assert.equal(page.session, null, `${name}\n${report}`);
      }),
    ));
});
