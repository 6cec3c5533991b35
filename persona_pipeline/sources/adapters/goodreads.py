"""Map the Goodreads book graph (Wan, McAuley): a rating of 0 says that there is none; categories are shelves of readers.

Shelves that say what somebody did with a book are none.
"""

from persona_pipeline.sources.adapters._adapter import Adapter

GOODREADS = Adapter(
    name="goodreads",
    reviews={
        "review_id": ("review_id",),
        "user_id": ("user_id",),
        "item_id": ("book_id",),
        "rating": ("rating",),
        "text": ("review_text",),
        "timestamp": ("date_updated", "date_added"),
    },
    items={
        "item_id": ("book_id",),
        "title": ("title", "title_without_series"),
        "creator": ("author_name", "publisher"),
        "categories": ("popular_shelves",),
        "description": ("description",),
    },
    unrated=frozenset({0.0}),
    no_categories=frozenset(
        {
            *(
                "to-read",
                "currently-reading",
                "read",
                "re-read",
                "did-not-finish",
                "dnf",
                "default",
                "favorites",
                "favourites",
                "wish-list",
            ),
            *("owned", "owned-books", "books-i-own", "my-books", "my-library", "library", "library-books"),
            *("kindle", "ebook", "ebooks", "e-book", "e-books", "audiobook", "audiobooks", "audio"),
        }
    ),
)
