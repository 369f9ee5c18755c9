// Shows what changed in the meeting: asks for the view again and again, and puts it in place when it is another.
const view = document.getElementById("view");
let shown = null;
async function look() {
  try {
    const answer = await fetch(view.dataset.source, { cache: "no-store" });
    const text = await answer.text();
    if (answer.ok && shown !== null && text !== shown) view.innerHTML = text;
    if (answer.ok) shown = text;
  } catch {
    // The stand-in is away; it may come back.
  }
  setTimeout(look, 400);
}
look();
