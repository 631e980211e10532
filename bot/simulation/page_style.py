"""The style sheet of the simulator's report: readable from a phone's width up, in light and dark."""

from __future__ import annotations

from typing import Final

STYLE: Final = (
    """
:root{--ink:#1d2430;--soft:#5b6472;--rule:#dde1e7;--paper:#fff;
--c0:#0b62b8;--c1:#c4500a;--c2:#0a7d5a;--c3:#a0307d;--c4:#8a6d00;--c5:#5a4fc9;--c6:#007f9c;--c7:#b3263a;--c8:#8b95a3;
--s0:#3d9a6c;--s1:#d69a1e;--s2:#c9372c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--rule:#353c47;--paper:#14181e;
--c0:#5aa9f0;--c1:#f0935a;--c2:#4cc79b;--c3:#e07fc2;--c4:#d9b63c;--c5:#a49bf5;--c6:#53c4dc;--c7:#f07f8b;--c8:#7f8997}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1240px;margin:0 auto;padding:16px}
h1{font-size:1.4rem;line-height:1.25;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:1.8rem 0 .5rem}
p{margin:.3rem 0}
.note{color:var(--soft);font-size:.87rem}
.columns{display:flex;flex-wrap:wrap;gap:16px 28px;align-items:flex-start}
figure{flex:1 1 340px;max-width:600px;margin:0;min-width:0}
figcaption{font-size:.87rem;color:var(--soft);margin-top:.4rem}
h3{font-size:1rem;margin:1rem 0 .2rem;font-weight:500}
.scroll{overflow-x:auto;flex:1 1 420px;min-width:0;max-width:100%}
.tall{max-height:620px;overflow-y:auto;flex:1 1 320px;min-width:0}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .55rem .28rem 0;text-align:left;border-bottom:1px solid var(--rule);white-space:nowrap}
th{color:var(--soft);font-weight:500}
td.n,th:not(:first-child){text-align:right}
details{margin:.8rem 0;border-top:1px solid var(--rule);padding-top:.5rem}
summary{cursor:pointer;padding:.2rem 0}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font-size:11px}
.grid{stroke:var(--rule);stroke-width:1;fill:none}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}
.area{stroke:none;fill-opacity:.85}
.key{display:inline-block;width:.75em;height:.75em;margin-right:.4em;border-radius:2px;vertical-align:-.03em}
.key.dashed{border-radius:0;height:.25em;vertical-align:.22em}
"""
    + "".join(
        f".line.c{each}{{stroke:var(--c{each})}}.area.c{each}{{fill:var(--c{each})}}.key.c{each}{{background:var(--c{each})}}"
        for each in range(9)
    )
    + "".join(f"rect.s{each}{{fill:var(--s{each})}}.key.s{each}{{background:var(--s{each})}}" for each in range(3))
)
