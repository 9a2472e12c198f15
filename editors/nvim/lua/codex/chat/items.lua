-- What a person types, as the items of an input, and back.

local words = require('codex.chat.words')

local M = {}

---@param path string
---@param folder string
---@return string absolute
local function absolute(path, folder)
  if vim.startswith(path, 'file://') then
    return vim.uri_to_fname(path)
  elseif vim.startswith(path, '~') or vim.startswith(path, '/') or path:find('^%a:[/\\]') then
    return vim.fs.normalize(path)
  end
  return vim.fs.normalize(vim.fs.joinpath(folder, path))
end

---@param path string
---@return boolean
local function exists(path)
  local stat = path ~= '' and vim.uv.fs_stat(path)
  return stat and stat.type == 'file' or false
end

---@param first integer from 1
---@param last integer
---@return table range as in LSP: whole lines
function M.lines_range(first, last)
  return {
    start = { line = first - 1, character = 0 },
    ['end'] = { line = last, character = 0 },
  }
end

--- The file that `@name` is about, with the lines behind a colon; what ends a sentence is no part
--- of a name, unless there is such a file.
---@param name string
---@param folder string
---@return table? item
local function mention(name, folder)
  while name ~= '' do
    local path = absolute(name, folder)
    if exists(path) then
      return { type = 'mention', path = path }
    end
    local plain, first, last = name:match('^(.-):(%d+)%-?(%d*)$')
    if plain and plain ~= '' and exists(absolute(plain, folder)) then
      local from = math.max(1, tonumber(first) or 1)
      local to = math.max(from, tonumber(last) or from)
      return {
        type = 'mention',
        path = absolute(plain, folder),
        range = M.lines_range(from, to),
      }
    end
    local shorter = name:match('^(.*)[%p]$')
    if not shorter then
      return nil
    end
    name = shorter
  end
end

--- The items of a text: itself, the files that are named with `@`, and the images whose paths stand
--- in it. A text that is nothing but images is left out.
---@param text string
---@param folder string that relative paths begin in
---@return table[]
function M.of_text(text, folder)
  text = vim.trim(text)
  local items, seen = {}, {}
  local images, rest = require('codex.chat.images').find(text, function(path)
    path = absolute(path, folder)
    return exists(path) and path or nil
  end)
  if rest:find('%S') then
    table.insert(items, { type = 'text', text = text })
  end
  local function add(item)
    local key = item.path .. vim.inspect(item.range)
    if not seen[key] then
      seen[key] = true
      table.insert(items, item)
    end
  end
  local spaced = ' ' .. text:gsub('%s', ' ')
  for quoted in spaced:gmatch('[%s%(]@"([^"]+)"') do
    local item = mention(quoted, folder)
    if item then
      add(item)
    end
  end
  for name in spaced:gmatch('[%s%(%[{,;:]@([^%s"]+)') do
    local item = mention(name, folder)
    if item and not require('codex.chat.images').is_image(item.path) then
      add(item)
    elseif item then
      add({ type = 'local_image', path = item.path })
    end
  end
  for _, path in ipairs(images) do
    add({ type = 'local_image', path = path })
  end
  return items
end

--- The name of a file behind `@`.
---@param path string
---@return string
function M.name(path)
  return path:find('%s') and ('@"%s"'):format(path) or '@' .. path
end

--- Items as a text that becomes them again, as well as may be.
---@param items table[]
---@param folder string
---@return string
function M.to_text(items, folder)
  local texts, said = {}, ''
  for _, item in ipairs(items) do
    if item.type == 'text' then
      table.insert(texts, item.text)
      said = said .. '\n' .. item.text
    end
  end
  local names = {}
  for _, item in ipairs(items) do
    if item.path then
      local path = words.path(item.path, folder)
      local name = item.range and ('%s:%s'):format(path, words.range(item.range)) or path
      if not said:find(name, 1, true) then
        table.insert(names, M.name(name))
      end
    end
  end
  if #names > 0 then
    table.insert(texts, 1, table.concat(names, ' '))
  end
  return table.concat(texts, '\n')
end

--- Lines of a buffer as an item. The text goes along, as it is what the person sees.
---@param buffer integer
---@param first integer from 1
---@param last integer
---@return table item
function M.selection(buffer, first, last)
  local path = vim.api.nvim_buf_get_name(buffer)
  local range = M.lines_range(first, last)
  local lines = vim.api.nvim_buf_get_lines(buffer, first - 1, last, false)
  local columns = M.visual_columns(buffer, first, last)
  if columns then
    lines[#lines] = lines[#lines]:sub(1, columns.last)
    lines[1] = lines[1]:sub(columns.first + 1)
    range.start.character = columns.first_character
    range['end'] = { line = last - 1, character = columns.last_character }
  end
  local text = table.concat(lines, '\n') .. (columns and '' or '\n')
  if path == '' or vim.bo[buffer].buftype ~= '' then
    local fence = words.fence(lines)
    local quoted = ('%s%s\n%s\n%s'):format(
      fence,
      vim.bo[buffer].filetype,
      table.concat(lines, '\n'),
      fence
    )
    return { type = 'text', text = quoted }
  end
  return { type = 'selection', path = vim.fs.normalize(path), range = range, text = text }
end

--- Where a selection of characters begins and ends, if that is what these lines come from.
---@param buffer integer
---@param first integer
---@param last integer
---@return {first: integer, last: integer, first_character: integer, last_character: integer}?
function M.visual_columns(buffer, first, last)
  local from = vim.api.nvim_buf_get_mark(buffer, '<')
  local to = vim.api.nvim_buf_get_mark(buffer, '>')
  if vim.fn.visualmode() ~= 'v' or from[1] ~= first or to[1] ~= last then
    return nil
  end
  local top = vim.api.nvim_buf_get_lines(buffer, first - 1, first, false)[1]
  local bottom = vim.api.nvim_buf_get_lines(buffer, last - 1, last, false)[1]
  local stop = math.min(to[2], #bottom)
  if stop < #bottom then
    stop = stop + vim.str_utf_end(bottom, stop + 1) + 1
  end
  local start = math.min(from[2], #top)
  return {
    first = start,
    last = stop,
    first_character = vim.fn.strchars(top:sub(1, start)),
    last_character = vim.fn.strchars(bottom:sub(1, stop)),
  }
end

return M
