"""Results: every measurement as a line of JSON, the medians as a table of text."""
import json
import statistics
import time


class Results:
    """Collects measurements; each is written out at once, so that an interrupted run keeps what it has."""

    def __init__(self, path, **common):
        self.file = open(path, "a")
        self.path = path
        self.common = common
        self.rows = []

    def add(self, **row):
        self.rows.append(row)
        self.file.write(json.dumps({"time": time.strftime("%FT%T%z"), **self.common, **row}) + "\n")
        self.file.flush()

    def values(self, case, server, field):
        return [r[field] for r in self.rows if r["case"] == case and r["server"] == server and r.get(field) is not None]

    def median(self, case, server, field):
        values = self.values(case, server, field)
        return statistics.median(values) if values else None

    def cases(self):
        return list(dict.fromkeys(r["case"] for r in self.rows))


def number(x):
    if x is None:
        return "-"
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def cell(values):
    """median [lowest-highest]"""
    if not values:
        return "-"
    text = number(statistics.median(values))
    if len(values) > 1:
        text += f" [{number(min(values))}-{number(max(values))}]"
    return text


def table(results, columns, servers, baseline, goals):
    """The table as text: for each case a line per server and one of ratios to the baseline.

    columns: (field, heading).  goals: {field: (">=" or "<=", ratio)} by prefix of the case's name.
    """
    lines = []
    rows = []
    for case in results.cases():
        fields = [c for c in columns if any(results.values(case, s, c[0]) for s in servers)]
        rows.append([case] + [c[1] for c in fields])
        for server in servers:
            if any(results.values(case, server, c[0]) for c in fields):
                rows.append(["  " + server] + [cell(results.values(case, server, c[0])) for c in fields])
        for server in servers:
            ratios = [_ratio(results, case, server, baseline, c[0], goals) for c in fields]
            if server != baseline and any(ratios):
                rows.append([f"  {server} / {baseline}"] + [r or "-" for r in ratios])
        rows.append([])
    widths = [max((len(r[i]) for r in rows if len(r) > i), default=0) for i in range(max(map(len, rows), default=0))]
    for row in rows:
        lines.append("  ".join(text.ljust(widths[i]) if i == 0 else text.rjust(widths[i])
                               for i, text in enumerate(row)).rstrip())
    return "\n".join(lines)


def _ratio(results, case, server, baseline, field, goals):
    mine, theirs = results.median(case, server, field), results.median(case, baseline, field)
    if mine is None or not theirs:
        return None
    ratio = mine / theirs
    text = f"x{ratio:.2f}"
    for prefix, wanted in goals.items():
        if case.startswith(prefix) and field in wanted:
            sign, limit = wanted[field]
            met = ratio >= limit if sign == ">=" else ratio <= limit
            text += " ok" if met else f" MISSED ({sign}{limit})"
            break
    return text
