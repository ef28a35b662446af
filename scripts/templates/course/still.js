// Whoever is disturbed by an animation stops it: a button changes it for its still, which stands in the same <picture>.
function pausable(pause, play) {
  for (const still of document.querySelectorAll("picture source")) {
    const button = document.createElement("button");
    const moves = () => !window.matchMedia(still.media).matches;
    const name = () => (button.textContent = moves() ? pause : play);
    button.type = "button";
    button.className = "pause";
    button.addEventListener("click", () => {
      still.media = moves() ? "all" : "not all";
      name();
    });
    name();
    still.parentElement.after(button);
  }
}
