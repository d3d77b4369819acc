"""A web page to try a model: chat, browse figures, make parts."""
