-- Paths of images in what is typed or pasted. Terminals paste a file that is dropped on them as a
-- path in quotes, or with backslashes, or as a `file://` address. Pure.

local M = {}

local EXTENSIONS = { png = true, jpg = true, jpeg = true, gif = true, webp = true }

--- Whether a path is an image's, by its name.
---@param path string
---@return boolean
function M.is_image(path)
  local extension = path:match('%.(%w+)$')
  return extension ~= nil and EXTENSIONS[extension:lower()] == true
end

---@param text string
---@return fun(): integer?, integer?, string? from, to, path
local function tokens(text)
  local at = 1
  return function()
    local from = text:find('%S', at)
    if not from then
      return nil
    end
    local quote = text:match('^[\'"]', from)
    local stop = quote and text:find(quote, from + 1, true)
    if stop then
      at = stop + 1
      return from, stop, text:sub(from + 1, stop - 1)
    end
    local to = from
    while to <= #text and not text:find('^%s', to) do
      to = to + (text:find('^\\.', to) and 2 or 1)
    end
    at = to
    return from, to - 1, (text:sub(from, to - 1):gsub('\\(.)', '%1'))
  end
end

--- The images that a text names and that are there, and the text without their paths.
---@param text string
---@param resolve fun(path: string): string? the absolute path of a file that is there
---@return string[] paths, string rest
function M.find(text, resolve)
  local paths, rest, at = {}, {}, 1
  for from, to, token in tokens(text) do
    local path = M.is_image(token) and not vim.startswith(token, '@') and resolve(token)
    if path then
      table.insert(paths, path)
      table.insert(rest, text:sub(at, from - 1))
      at = to + 1
    end
  end
  table.insert(rest, text:sub(at))
  return paths, table.concat(rest)
end

return M
