"""The ways in which services are broken, by the names that `mendline demo --scenario` takes."""

from collections.abc import Mapping

from mendline.demo.scenario import Scenario
from mendline.demo.scenarios import archive, bell, clerk, jobs, pages, pool, shop, vault, web

SCENARIOS: Mapping[str, Scenario] = {
    **web.SCENARIOS,
    **archive.SCENARIOS,
    **pool.SCENARIOS,
    **pages.SCENARIOS,
    **jobs.SCENARIOS,
    **bell.SCENARIOS,
    **vault.SCENARIOS,
    **shop.SCENARIOS,
    **clerk.SCENARIOS,
}
