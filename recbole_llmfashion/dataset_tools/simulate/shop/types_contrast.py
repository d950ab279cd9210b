"""The product types of the two contrast categories, electronics and toys (the paper's section 3)."""

from recbole_llmfashion.dataset_tools.simulate.shop.products import (
    ELECTRONICS,
    TOYS,
    Category,
    ProductType,
)

# Table 1 has no contrasts; their mean lengths are that of fashion (5,858,688 / 454,273 = 12.90) times the ratios of C2
_FASHION_LENGTH = 12.90


def _device(name: str, nouns: str, features: str, price: float, weight: float, sizes: str = "one") -> ProductType:
    return ProductType(
        name, tuple(nouns.split("|")), ("Aluminum", "Plastic", "Silicone"), tuple(features.split("|")), sizes, price,
        weight, companion="Chargers" if price > 60 else "",
    )  # fmt: skip


def _toy(name: str, nouns: str, features: str, price: float, weight: float, season: str = "") -> ProductType:
    sizes = "pieces" if name in ("Building Blocks", "Puzzles") else "one"
    materials = ("Wooden", "Plastic", "Soft Plush")
    return ProductType(
        name, tuple(nouns.split("|")), materials, tuple(features.split("|")), sizes, price, weight, season,
        occasions=("christmas",),
    )  # fmt: skip


CONTRAST_CATEGORIES = (
    Category(
        "electronics", 60_000, 360_000, _FASHION_LENGTH / 1.55, (("All", 1.0),),
        ("Compact", "Gaming", "Professional", "Budget", "Smart"),
        (
            _device("Headphones", "Headphones|Headset|Earphones", "Noise Cancelling|Over Ear|Wireless", 60, 2),
            _device("Earbuds", "Earbuds|In Ear Headphones", "Wireless|Bluetooth 5.3|Waterproof", 40, 2),
            _device("Chargers", "Charger|Wall Charger|Power Adapter", "Fast Charging|USB C|Foldable Plug", 18, 2),
            _device("Cables", "Cable|Charging Cable|Cord", "Braided|USB C|Fast Charging", 10, 2, "cable"),
            _device("Power Banks", "Power Bank|Portable Charger", "10000mAh|Slim|Fast Charging", 28, 1),
            _device("Speakers", "Bluetooth Speaker|Portable Speaker", "Waterproof|Deep Bass|Stereo", 45, 1),
            _device("Keyboards", "Keyboard|Mechanical Keyboard", "RGB Backlit|Wireless|Quiet", 50, 1),
            _device("Mice", "Mouse|Wireless Mouse", "Ergonomic|Silent Click|Rechargeable", 22, 1),
            _device("Tablets", "Tablet|Android Tablet", "10 Inch|Octa Core|Long Battery", 160, 0.7, "memory"),
            _device("Smart Watches", "Smart Watch|Fitness Tracker", "Heart Rate|GPS|Sleep Monitor", 90, 0.9),
            _device("Webcams", "Webcam|Web Camera", "1080P|Auto Focus|Privacy Cover", 35, 0.6),
            _device("Routers", "Router|WiFi Router", "WiFi 6|Dual Band|Mesh", 85, 0.6),
            _device("Memory Cards", "Memory Card|Micro SD Card", "High Speed|4K|Class 10", 20, 0.9, "memory"),
        ),
        ELECTRONICS,
    ),
    Category(
        "toys", 60_000, 360_000, _FASHION_LENGTH / 1.81, (("Kids", 0.65), ("Toddlers", 0.35)),
        ("Educational", "Creative", "Adventure", "Fantasy", "Family"),
        (
            _toy("Building Blocks", "Building Blocks|Building Set|Bricks", "STEM|Magnetic|Castle", 32, 2),
            _toy("Board Games", "Board Game|Family Game", "2-4 Players|Strategy|Quick Play", 24, 1.5),
            _toy("Puzzles", "Puzzle|Jigsaw Puzzle", "Animals|World Map|Glow in the Dark", 15, 1.2),
            _toy("Plush Toys", "Plush Toy|Stuffed Animal", "Bear|Unicorn|Dinosaur", 18, 1.6),
            _toy("Dolls", "Doll|Doll Set", "Princess|Dress Up|Accessories Included", 26, 1.3),
            _toy("Action Figures", "Action Figure|Figure Set", "Superhero|Dinosaur|Collectible", 20, 1.2),
            _toy("RC Cars", "RC Car|Remote Control Car", "Off Road|Rechargeable|4WD", 38, 1),
            _toy("Art Kits", "Art Kit|Craft Kit", "Washable|Painting|DIY", 19, 1),
            _toy("Learning Toys", "Learning Toy|Montessori Toy", "Alphabet|Counting|Sensory", 22, 1),
            _toy("Water Toys", "Water Toy|Pool Toy", "Inflatable|Squirt|Splash", 16, 0.8, "summer"),
            _toy("Pretend Play", "Play Kitchen Set|Pretend Play Set", "Kitchen|Doctor|Tools", 34, 0.9),
        ),
        TOYS,
    ),
)  # fmt: skip
