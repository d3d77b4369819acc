// Requests to the server. URLs are relative, since the URL of the page contains the token.

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return read(await ask(query ? `${path}?${query}` : path));
}

export async function post(path, body) {
  return read(await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }));
}

async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; start cephalo review again.");
  }
}

async function read(response) {
  let value = null;
  try {
    value = await response.json();
  } catch {
    // not JSON: the page of a proxy, or an empty body
  }
  if (!response.ok || value === null) {
    throw new Error(value?.error ?? `The server answered ${response.status}.`);
  }
  return value;
}

// Return an element with a class and a text. Text of papers is only set as textContent.
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export const byId = (id) => document.getElementById(id);

// Show an image, or the reason why it is not available.
export function showPicture(image, path, problem) {
  if (image.dataset.path === path) return;
  image.dataset.path = path;
  image.hidden = false;
  if (problem) problem.hidden = true;
  image.onerror = async () => {
    if (image.dataset.path !== path) return;
    image.hidden = true;
    let why = "";
    try {
      await get(path);
    } catch (error) {
      why = error.message;
    }
    if (problem && image.dataset.path === path) {
      problem.textContent = why;
      problem.hidden = false;
    }
    image.onfailure?.();
  };
  image.src = path;
}
