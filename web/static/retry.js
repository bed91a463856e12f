// Try again by itself, a little later than told, so that all who wait do not
// come back in one instant; and carry the path of an ended environment over to
// the link that starts a new one.
"use strict";

const after = Number(document.body.dataset.retryAfterS);
if (after) {
  setTimeout(() => location.replace(location.href), after * 1000 * (1 + Math.random() * 0.25));
}

const { mount } = document.body.dataset;
const again = document.querySelector(`a[href^="${mount}launch/"]`);
const environments = new URL(`${mount}user/`, location.href).pathname;
if (again && location.pathname.startsWith(environments)) {
  const inside = location.pathname.slice(environments.length).replace(/^[^/]*\/?/, "");
  if (inside) again.search += `&urlpath=${encodeURIComponent(decodeURIComponent(inside))}`;
}
