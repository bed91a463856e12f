// Follow a launch, and ask for this page again when it is over: the answer to
// that is the environment, or the reason why there is none.
"use strict";

const place = document.getElementById("place");
const progress = document.getElementById("progress");
const stream = document.body.dataset.events;

function goOn(afterMs) {
  source.close();
  setTimeout(() => location.replace(location.href), afterMs);
}

function words(facts) {
  if (facts.place <= 1) return "You are next.";
  return `You are number ${facts.place} in the queue.`;
}

// Live regions speak whenever they are written to, so only a change is written.
function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const source = new EventSource(stream);
source.onmessage = (event) => {
  const facts = JSON.parse(event.data);
  show(place, words(facts));
  show(progress, facts.progress || "");
};
source.addEventListener("done", () => goOn(0));
source.onerror = () => {
  // While it connects again by itself, leave it; once it has given up, ask the page.
  if (source.readyState === EventSource.CLOSED) goOn(1000 + Math.random() * 2000);
};
