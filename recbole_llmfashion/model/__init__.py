"""RecBole-facing classes that wire the other folders."""
