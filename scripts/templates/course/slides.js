// A slide that is too tall is set smaller, step by step, until it fits; then the show starts.
const [WIDTH, HEIGHT] = [1280, 720];

function fit(slide) {
  const content = slide.querySelector(".fit");
  let zoom = 1;
  while (content.getBoundingClientRect().height > HEIGHT && zoom > 0.4) {
    zoom = Math.round((zoom - 0.02) * 100) / 100;
    content.style.zoom = zoom;
  }
  slide.dataset.zoom = zoom;
  const image = content.querySelector("img");
  if (zoom === 1 && image) {  // a picture may use the room that is left, as long as it stays sharp
    const room = HEIGHT - content.getBoundingClientRect().height;
    const box = image.getBoundingClientRect();
    image.style.maxHeight = "none";
    image.style.width = `${Math.floor(Math.min(box.width * (1 + room / box.height), 1.3 * image.naturalWidth))}px`;
  }
}

async function start() {
  await MathJax.startup.promise;
  pausable(WORDS.pause, WORDS.play);
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  document.documentElement.classList.add("measuring");
  const answers = document.querySelectorAll("details");
  answers.forEach((answer) => (answer.open = true));  // a slide must have room for them
  document.querySelectorAll(".slides section[data-slide]").forEach(fit);
  answers.forEach((answer) => (answer.open = false));
  document.documentElement.classList.remove("measuring");
  await Reveal.initialize({
    width: WIDTH, height: HEIGHT, margin: 0, center: false, controlsLayout: "edges", hash: true, slideNumber: "c/t",
    transition: "none", backgroundTransition: "none", pdfSeparateFragments: false, plugins: [RevealNotes],
  });
  for (const [side, name] of [["left", "previous"], ["up", "previous"], ["right", "next"], ["down", "next"]])
    document.querySelectorAll(`.navigate-${side}`).forEach((button) => button.setAttribute("aria-label", WORDS[name]));
}

start();
