"""How a fault of the settings is told: where, what, and how to mend it."""

from domain.shared.records import record


@record
class Fault:
    """One thing that is wrong in the settings: where, what, and how to mend it. Never quotes a secret."""

    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where} {self.problem}. {self.remedy[:1].upper()}{self.remedy[1:]}."


class Faulty(ValueError):
    """A single value is not usable; ``problem`` and ``remedy`` go into the Fault."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy
