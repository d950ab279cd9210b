"""Words that all categories share: colors, audiences, sizes, occasions, seasons, fillers."""

# base color -> names in titles and queries; the first is the most common one in queries
COLORS: dict[str, tuple[str, ...]] = {
    "black": ("Black", "Jet Black", "Black"),
    "white": ("White", "Off White", "Ivory"),
    "grey": ("Grey", "Gray", "Charcoal"),
    "navy": ("Navy", "Navy Blue", "Dark Blue"),
    "blue": ("Blue", "Royal Blue", "Sky Blue"),
    "brown": ("Brown", "Chestnut", "Coffee"),
    "beige": ("Beige", "Tan", "Khaki"),
    "red": ("Red", "Cherry Red", "Scarlet"),
    "pink": ("Pink", "Rose", "Blush"),
    "green": ("Green", "Olive", "Army Green"),
    "burgundy": ("Burgundy", "Wine Red", "Maroon"),
    "purple": ("Purple", "Lavender", "Plum"),
    "gold": ("Gold", "Champagne", "Rose Gold"),
    "yellow": ("Yellow", "Mustard", "Lemon"),
}
COLOR_POPULARITY: tuple[float, ...] = (10, 6, 4.5, 4, 3.5, 4, 3.5, 2.5, 3, 2.5, 1.5, 1.5, 1.5, 1)

# audience -> (words in titles, words in queries)
AUDIENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Women": (
        ("Women's", "Womens", "Ladies", "for Women", "Women"),
        ("women", "womens", "ladies", "women's", "for women"),
    ),
    "Men": (("Men's", "Mens", "for Men", "Men"), ("men", "mens", "men's", "for men", "guys")),
    "Girls": (("Girls", "Girl's", "Kids Girls", "Little Girls"), ("girls", "girl", "kids girls", "for girls")),
    "Boys": (("Boys", "Boy's", "Kids Boys", "Little Boys"), ("boys", "boy", "kids boys", "for boys")),
    "Unisex": (("Unisex", "Adult", "for Men Women"), ("unisex", "adult", "for travel")),
    "Kids": (("Kids", "for Kids", "Children"), ("kids", "for kids", "children")),
    "Toddlers": (("Toddler", "Baby", "Preschool"), ("toddler", "baby", "for toddlers")),
    "All": (("Universal", "Portable", "Home Office", "2024 Upgrade"), ("good",)),
}

# size scheme -> audience -> labels from small to large; "*" is for all other audiences
SIZES: dict[str, dict[str, tuple[str, ...]]] = {
    "shoe": {
        "Women": ("6", "6.5", "7", "7.5", "8", "8.5", "9", "10"),
        "Men": ("8", "8.5", "9", "9.5", "10", "10.5", "11", "12"),
        "*": ("11 Little Kid", "12 Little Kid", "13 Little Kid", "1 Big Kid", "2 Big Kid", "3 Big Kid"),
    },
    "letter": {
        "*": ("X-Small", "Small", "Medium", "Large", "X-Large", "XX-Large"),
        "Girls": ("4T", "5T", "6", "8", "10", "12"),
        "Boys": ("4T", "5T", "6", "8", "10", "12"),
    },
    "soft": {"*": ("Small", "Medium", "Large", "X-Large")},
    "ring": {"*": ("5", "6", "7", "8", "9", "10")},
    "case": {"*": ("20 Inch", "24 Inch", "28 Inch")},
    "bag": {"*": ("Small", "Medium", "Large")},
    "one": {"*": ("One Size",)},
    "cable": {"*": ("3 ft", "6 ft", "10 ft")},
    "memory": {"*": ("64 GB", "128 GB", "256 GB")},
    "pieces": {"*": ("100 Pieces", "500 Pieces", "1000 Pieces")},
}

# occasion -> (words in titles, words in queries, weight of each month from January to December)
OCCASIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]] = {
    "wedding": (
        ("Wedding", "Bridal", "Wedding Guest"),
        ("wedding", "bridal", "wedding guest", "bridesmaid"),
        (0.4, 0.5, 0.8, 1.5, 3.0, 4.0, 2.0, 1.2, 1.2, 0.6, 0.3, 0.3),
    ),
    "party": (
        ("Party", "Evening", "Night Out"),
        ("party", "evening", "going out", "new years eve"),
        (0.8, 1.0, 0.7, 1.0, 1.2, 0.8, 0.6, 0.6, 0.6, 1.0, 2.0, 4.0),
    ),
    "work": (
        ("Work", "Office", "Business"),
        ("work", "office", "business", "for work"),
        (1.5, 1.0, 1.0, 1.0, 0.9, 0.8, 0.7, 1.0, 1.6, 1.0, 0.9, 0.6),
    ),
    "school": (
        ("School", "Back to School"),
        ("school", "back to school", "college"),
        (0.8, 0.3, 0.3, 0.3, 0.2, 0.4, 2.2, 5.0, 2.5, 0.4, 0.3, 0.3),
    ),
    "travel": (
        ("Travel", "Vacation"),
        ("travel", "vacation", "trip", "airplane"),
        (0.6, 0.7, 1.2, 1.2, 1.8, 3.0, 3.0, 1.8, 0.8, 0.7, 1.0, 1.4),
    ),
    "outdoor": (
        ("Outdoor", "Camping", "Trail"),
        ("outdoor", "camping", "trail", "hiking"),
        (0.6, 0.6, 1.0, 1.6, 1.8, 1.8, 1.6, 1.5, 1.6, 1.4, 0.8, 0.6),
    ),
    "beach": (
        ("Beach", "Summer Holiday"),
        ("beach", "pool", "cruise"),
        (0.3, 0.4, 0.8, 1.2, 2.5, 4.0, 4.0, 2.0, 0.6, 0.3, 0.2, 0.3),
    ),
    "gym": (
        ("Gym", "Workout", "Training"),
        ("gym", "workout", "training", "exercise"),
        (3.0, 1.8, 1.2, 1.0, 1.0, 0.9, 0.8, 0.9, 1.2, 0.9, 0.8, 0.8),
    ),
    "christmas": (
        ("Christmas", "Xmas Holiday"),
        ("christmas", "xmas", "holiday"),
        (0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.1, 0.1, 0.3, 1.0, 4.0, 6.0),
    ),
    "valentine": (
        ("Valentines Day", "Anniversary"),
        ("valentines day", "anniversary", "valentine"),
        (2.0, 6.0, 0.4, 0.3, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3, 0.5),
    ),
}

# season -> (words in titles and queries, demand by month, arrivals by month), January to December
SEASONS: dict[str, tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]] = {
    "": (("",), (1.0,) * 12, (1.0,) * 12),
    "winter": (
        ("Winter", "Cold Weather", "Fall Winter"),
        (2.4, 1.6, 0.7, 0.3, 0.15, 0.1, 0.1, 0.3, 0.8, 1.8, 2.8, 3.0),
        (0.8, 0.4, 0.2, 0.1, 0.1, 0.2, 0.8, 2.0, 3.0, 3.0, 2.0, 1.0),
    ),
    "summer": (
        ("Summer", "Hot Weather", "Spring Summer"),
        (0.2, 0.35, 0.9, 1.8, 2.6, 3.0, 2.8, 1.8, 0.8, 0.3, 0.15, 0.15),
        (0.6, 1.6, 3.0, 3.0, 2.4, 1.4, 0.6, 0.3, 0.2, 0.1, 0.1, 0.2),
    ),
}

GIFT_PHRASES: tuple[str, ...] = ("gift for her", "gift for mom", "gift for him", "gifts", "present", "gift ideas")
QUERY_FILLERS: tuple[str, ...] = ("best", "cheap", "cute", "nice", "comfortable", "trendy", "good quality", "on sale")
TITLE_FILLERS: tuple[str, ...] = (
    "Fashion", "Comfortable", "Lightweight", "Casual", "Daily", "New", "Classic Fit", "Premium", "Soft", "Everyday",
    "Stylish", "Durable", "Trendy", "Basic",
)  # fmt: skip
LINE_WORDS: tuple[str, ...] = (
    "Aria", "Nova", "Juno", "Echo", "Terra", "Luna", "Atlas", "Vega", "Piper", "Sierra", "Dune", "Harper", "Coda",
    "Milo", "Opal", "Quinn", "Rhea", "Tilda", "Wren", "Zuri", "Bryn", "Cleo", "Enzo", "Faye", "Gia", "Hollis", "Indy",
    "Jett", "Koa", "Lark", "Maeve", "Nell", "Orla", "Pax", "Remy", "Sage", "Tess", "Una", "Vesper", "Willa",
)  # fmt: skip
BRAND_HEADS: tuple[str, ...] = (
    "Nor", "Tam", "Bel", "Cor", "Del", "Fen", "Gar", "Hal", "Jas", "Kel", "Lor", "Mar", "Ost", "Pel", "Quor", "Ris",
    "Sol", "Tor", "Ul", "Ver", "Wes", "Yar", "Zen", "Bra", "Cla", "Dri", "Fol", "Gri", "Kri", "Plu",
)  # fmt: skip
BRAND_MIDDLES: tuple[str, ...] = ("", "a", "e", "i", "o", "an", "el", "ir", "on", "ul", "ev", "as")
BRAND_TAILS: tuple[str, ...] = (
    "vella", "sky", "dano", "mont", "wick", "tex", "lane", "dorn", "field", "nova", "rique", "zo", "lux", "peak",
    "ford", "mira", "gear", "line", "thread", "ette", "way", "craft", "berg", "joy", "kin",
)  # fmt: skip
