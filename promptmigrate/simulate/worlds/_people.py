"""Names, companies and small slots that make generated texts look lived in."""

from __future__ import annotations

import random

FIRST = (
    "Dana", "Miriam", "Ravi", "Chloe", "Tomasz", "Ingrid", "Femi", "Lucia", "Hiro", "Nadia", "Owen", "Petra",
    "Samir",
    "Greta", "Mateo", "Aisha", "Viktor", "Elena", "Jonas", "Priya", "Noor", "Callum", "Beatriz", "Anton",
    "Yara", "Felix",
)  # fmt: skip
LAST = (
    "Whitfield", "Holt", "Banerjee", "Moreau", "Kowalski", "Lindqvist", "Adeyemi", "Ferraro", "Tanaka",
    "Haddad", "Pryce",
    "Novotna", "Qureshi", "Baumann", "Ortega", "Rahman", "Petrov", "Vasquez", "Keller", "Iyer", "Saleh",
    "Macrae", "Duarte",
    "Sorensen", "Aziz", "Brandt",
)  # fmt: skip
COMPANY = (
    "Brightwater Foods", "Alder and Finch", "Kestrel Robotics", "Maple Street Clinic", "Orbit Print",
    "Saltmarsh Hotels",
    "Tandem Logistics", "Violet Architects", "Quarry Bikes", "Lumen Dental", "Harbour Books", "Pinecone Toys",
    "Riverbend Schools", "Copper Lane Coffee", "Northgate Legal", "Juniper Labs",
)  # fmt: skip
CITY = ("Lisbon", "Leeds", "Gdansk", "Austin", "Lyon", "Osaka", "Tallinn", "Porto", "Utrecht", "Denver")
MONTH = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November",
    "December",
)  # fmt: skip
DAY = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Cast:
    """The users of one team: each has a name, a company, an e-mail address and a telephone number."""

    def __init__(self, rng: random.Random, index: int) -> None:
        self.first = rng.choice(FIRST)
        self.last = rng.choice(LAST)
        self.company = rng.choice(COMPANY)
        self.user = f"u{index:04d}"
        domain = self.company.lower().replace(" and ", "-").replace(" ", "-")
        self.email = f"{self.first.lower()}.{self.last.lower()}@{domain}.example"
        self.phone = f"+44 20 7946 {rng.randrange(10_000):04d}"
