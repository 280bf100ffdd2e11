"""The API's view of the lake: matches, clubs, published forecasts, and indexes over them."""
