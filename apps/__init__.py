"""Applications of a model: chat, serve, demo, discuss, make-image, make-mesh."""
