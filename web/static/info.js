// Keep the counts current while somebody looks at them.
"use strict";

const { stats } = document.body.dataset;

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(stats, { cache: "no-store" });
    if (!answer.ok) return;
    const { templates } = await answer.json();
    for (const row of document.querySelectorAll("tr[data-template]")) {
      const counted = templates[row.dataset.template];
      if (!counted) continue;
      for (const cell of row.querySelectorAll("td[data-count]")) {
        cell.textContent = counted[cell.dataset.count];
      }
    }
  } catch {
    // The next try is near.
  }
}

setInterval(refresh, 3000);
