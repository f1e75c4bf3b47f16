// Runs before the first paint, so that the stored theme does not flash.
(() => {
  const stored = localStorage.getItem("kgrec-theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
})();
