"""Names and words for sample data, in several scripts; none belongs to a real person."""

# Letters of other scripts that look like Latin ones are intended here.
# ruff: noqa: RUF001

from __future__ import annotations

ORGANIZATIONS = (
    "Northwind Energy",
    "Färber Chemie GmbH",
    "Αιγαίο Ναυπηγεία",
    "Harbour & Sons",
    "شركة الخليج للبناء",
    "Compañía Minera Añil",
    "東海製造株式会社",
    "Łódź Logistics",
    "Société Générale d’Échafaudage",
    "Fjord Offshore",
    "한빛건설",
    "Prairie Rail",
)
FIRST_NAMES = (
    "Anna",
    "James",
    "José",
    "Zoë",
    "Łukasz",
    "Σοφία",
    "Νίκος",
    "ليلى",
    "يوسف",
    "美咲",
    "健太",
    "伟",
    "Ingrid",
    "Siobhán",
    "Mehmet",
    "Priya",
    "Oluwaseun",
    "Renée",
    "Jürgen",
    "Marta",
    "Tom",
    "Grace",
    "민준",
    "Đorđe",
)
LAST_NAMES = (
    "Smith",
    "Müller",
    "García",
    "O’Connor",
    "Nowak",
    "Παπαδοπούλου",
    "Γεωργίου",
    "الحداد",
    "منصور",
    "佐藤",
    "高橋",
    "王",
    "Lindqvist",
    "Ní Bhriain",
    "Yılmaz",
    "Iyer",
    "Adeyemi",
    "Lefèvre",
    "Weiß",
    "Kowalczyk",
    "Baker",
    "Hughes",
    "김",
    "Petrović",
)
PLACES = (
    "Dock 4",
    "Boiler House",
    "Tank Farm",
    "Werkhalle Süd",
    "Quai n° 3",
    "Αποθήκη Β",
    "ورشة الصيانة",
    "第二工場",
    "Loading Bay",
    "Paint Shop",
    "Substation",
    "Quarry East",
    "Head Office",
    "Crusher",
    "Cold Store",
    "Żuraw 7",
)
STREETS = ("High Street", "Hafenstraße", "Rue de l’Église", "Οδός Πειραιώς", "Calle Mayor", "港町")
STATION_KINDS = ("office", "workshop", "warehouse", "site")
ROLES = ("owner", "admin", "member")
TRADES = ("Scaffolding", "Electrical", "Welding", "Roofing", "Demolition", "Painting", "Lifting")
# Two begin like a formula: exports must escape such cells.
CONTRACTORS = (
    "Alpha",
    "Brücke",
    "Crown",
    "Δέλτα",
    "+Plus",
    "@Work",
    "النور",
    "富士",
    "Gómez",
    "Hansen",
)
CONTRACTOR_STATUSES = ("Approved", "Approved", "Approved", "Pending", "Suspended")
AUDIT_TITLES = (
    "Fire safety walk",
    "Working at height",
    "Chemical storage",
    "Machine guarding",
    "Lock-out",
    "First aid",
    "Escape routes",
    "Noise survey",
    "Contrôle des EPI",
    "消防点検",
    "Έλεγχος ασφάλειας",
)
INCIDENT_KINDS = ("Injury", "Near Miss", "Near Miss", "Property Damage", "Spill", "Fire")
SEVERITIES = ("Low", "Low", "Low", "Medium", "Medium", "High", "Critical")
INCIDENT_TITLES = {
    "Injury": ("Hand caught in conveyor", "Slip on a wet floor", "Coupure à la main"),
    "Near Miss": ("Load swung over walkway", "Tool dropped from height", "فرع كاد أن يسقط"),
    "Property Damage": ("Forklift hit a rack", "Gate bent by a lorry", "フォークリフト接触"),
    "Spill": ("Diesel spill at the pump", "Διαρροή λαδιού", "Acid drum leaked"),
    "Fire": ("Waste bin on fire", "Sparks set rags alight", "Kabelbrand im Schaltschrank"),
}
CAUSES = (
    "The guard had been taken off for cleaning.",
    "Housekeeping was poor that day.",
    "The permit had not been read out.",
    'A label was missing, "temporarily".',
    "The shift was one person short; the task went on regardless.",
    "Cause not known yet.",
    "Zwei Gewerke arbeiteten\nübereinander.",
    "未確認。",
    "Το δάπεδο ήταν υγρό.",
)
PERMIT_KINDS = ("Hot Work", "Confined Space", "Working at Height", "Electrical", "Excavation")
EVENTS = ("incident.created", "incident.closed", "audit.completed", "permit.expired")
