"""What every strategy has to keep to, as tests that the author of a plug-in inherits.

::

    from promptmigrate.search.testing import StrategyContract

    class TestMine(StrategyContract):
        strategy = Mine          # a class, an object, or the name of an installed strategy

pytest runs it; nothing but the standard library is needed besides. The world of the tests is a target model
of a few lines that sorts short notes, and a reflection model that can be made to misbehave.
"""

from promptmigrate.search.testing.contract import StrategyContract
from promptmigrate.search.testing.shop import Shop

__all__ = ["Shop", "StrategyContract"]
