"""The figures of docs/sizing.md and README.md, from the results."""

from bench.markdown import conditions, markdown, paragraph
from bench.results import Results

# The shop of the example.
_SHOP_PER_S = 400
_LOGINS_PER_S = 3
_MANY = 100_000


def rounded(value: float) -> str:
    """``value`` with two significant digits."""
    return f"{float(f'{value:.2g}'):,.0f}"


class Costs:
    """The figures of docs/sizing.md, in ms of one core."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def us(self, part: str, row: str) -> float:
        return self._results[part].rows[row].spread("cpu_us").middle

    def per_s(self, part: str, row: str) -> str:
        """How many one core handles, with two significant digits."""
        return rounded(1e6 / self.us(part, row))

    def ms(self, part: str, row: str) -> str:
        """Two significant digits."""
        value = self.us(part, row) / 1000
        return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"

    def processor(self) -> str:
        """The table "Processor"."""
        rows = [["", "time of one core", "one core handles, per second"]]
        for name, part, row in (
            ("a message, `ecdh-gcm`", "in_process", "`ecdh-gcm`"),
            ("a message, `rsa-gcm`", "in_process", "`rsa-gcm`"),
            ("a message, classic", "classic", "classic"),
            ("a message, `ecdh-gcm`, behind `serve`", "proxy", "`serve`, `ecdh-gcm`"),
            ("a message, `ecdh-gcm`, SQLite", "stores", "SQLite"),
            ("a message, `ecdh-gcm`, Redis", "stores", "Redis"),
            ("a login, `ecdh-gcm`", "logins", "`ecdh-gcm`"),
            ("a login, classic, with a prepared RSA key", "logins", "classic"),
            ("an RSA pair for a login, `rsa-gcm` and classic", "logins", "RSA pairs of one thread"),
        ):
            rows.append([name, f"{self.ms(part, row)} ms", self.per_s(part, row)])
        return f"{markdown(rows)}\n\n{conditions(self._results['in_process'])}"

    def shop(self) -> str:
        """The example."""
        ecdh = float(self.ms("in_process", "`ecdh-gcm`"))
        classic = float(self.ms("classic", "classic"))
        shares = [_SHOP_PER_S * cost / 1000 for cost in (ecdh, classic)]
        halves = [f"{2 * share:.1f}" for share in shares]
        pair_us = self.us("logins", "RSA pairs of one thread")
        login_us = [self.us("logins", name) for name in ("`ecdh-gcm`", "classic")]
        percents = [
            f"{100 * _LOGINS_PER_S * us / 1e6:.1f}%" for us in (login_us[0], login_us[1] + pair_us)
        ]
        text = (
            "Example: a shop has 2,000 active users, and each sends one request every 5 seconds. "
            f"That is {_SHOP_PER_S} messages per second: {shares[0]:.2f} of a core in `ecdh-gcm` "
            f"({_SHOP_PER_S} times {ecdh:.2f} ms), {shares[1]:.2f} in classic. To load a core only "
            f"by half, reserve {halves[0]} of a core for `ecdh-gcm` and {halves[1]} for classic. "
            f"If all users log in within 10 minutes, that is {_LOGINS_PER_S} logins per second: "
            f"{percents[0]} of a core in `ecdh-gcm`, and {percents[1]} in classic, most of it for "
            "RSA keys. The 20 logins per second that [`logins`](limits.md#how-often) allows take "
            f"{20 * login_us[0] / 1e4:.0f}% of a core in `ecdh-gcm`."
        )
        return paragraph(text)

    def sessions(self) -> str:
        """How much the stores need."""
        return f"{_MANY:,} sessions with tickets take {self._stored()}."

    def _stored(self) -> str:
        rows = self._results["growth"].rows
        sqlite, redis = (
            rounded(rows[f"{kind}, {_MANY:,} sessions"].spread("stored_mib").middle)
            for kind in ("SQLite", "Redis")
        )
        return f"{sqlite} MiB in SQLite or {redis} MiB in Redis"

    def suites(self) -> str:
        """The cells of the table of suites in README.md."""
        rows = (("in_process", "`ecdh-gcm`"), ("in_process", "`rsa-gcm`"), ("classic", "classic"))
        return "".join(f" {self.per_s(part, row)} |" for part, row in rows)

    def summary(self) -> str:
        """The section of README.md."""
        ecdh, redis, classic, logins, pairs = (
            self.per_s(part, row)
            for part, row in (
                ("in_process", "`ecdh-gcm`"),
                ("stores", "Redis"),
                ("classic", "classic"),
                ("logins", "`ecdh-gcm`"),
                ("logins", "RSA pairs of one thread"),
            )
        )
        share = _SHOP_PER_S * float(self.ms("in_process", "`ecdh-gcm`")) / 1000
        return paragraph(
            f"One core handles {ecdh} `ecdh-gcm` messages per second ({redis} with Redis) or "
            f"{classic} classic messages. It handles {logins} `ecdh-gcm` logins per second, or "
            f"{pairs} classic logins after the prepared RSA keys are used up. Plan for half of "
            "these figures. A gateway process with SQLite or Redis uses 65 to 280 MiB of memory, "
            f"whatever the number of sessions is. {self.sessions()} Example: a shop has 2,000 "
            "active users, and each sends one request every 5 seconds. The load is "
            f"{share:.2f} of a core in `ecdh-gcm`. [docs/sizing.md](docs/sizing.md) shows the "
            "calculation."
        )
