// Controls that a screen reader has no name for.
() => [...document.querySelectorAll("button, select, input, textarea, [role=grid], [role=meter]")]
  .filter((node) => node.checkVisibility() && !(node.ariaLabel || node.textContent.trim() && node.tagName === "BUTTON"
    || node.labels?.[0]?.textContent.trim() || node.getAttribute("aria-labelledby"))).map((node) => node.id)
